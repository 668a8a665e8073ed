#!/usr/bin/env bash
# packaging/test-deb.sh PACKAGE: installs the package into a scratch root, runs what it brings, removes and purges it, and
# lints it where lintian is there. Needs root, for dpkg.
set -euo pipefail
package=$(realpath "$1")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "test-deb: $*" >&2; exit 1; }
there() { for file; do [ -e "$scratch/$file" ] || fail "$file is missing"; done; }
dpkg_here() {
  dpkg --root="$scratch" --force-script-chrootless --force-depends --force-not-root --log=/dev/null "$@"
}

mkdir -p "$scratch/var/lib/dpkg/info" "$scratch/var/lib/dpkg/updates" "$scratch/etc"
: >"$scratch/var/lib/dpkg/status"
touch "$scratch/etc/passwd" "$scratch/etc/group"
dpkg_here --install "$package"
there usr/bin/hermod usr/lib/systemd/system/hermod.service usr/share/man/man1/hermod.1.gz \
  usr/share/man/man1/hermod-setup.1.gz usr/share/man/man5/hermod.toml.5.gz \
  usr/share/bash-completion/completions/hermod etc/default/hermod
if command -v systemd-sysusers >/dev/null; then grep -q '^hermod:' "$scratch/etc/passwd" || fail "no user hermod"; fi
"$scratch/usr/bin/hermod" --version
bash -n "$scratch/usr/share/bash-completion/completions/hermod"
if command -v man >/dev/null; then
  man -l "$scratch/usr/share/man/man1/hermod-setup.1.gz" | grep -q -- --anchor || fail "the man page cannot be read"
fi

mkdir -p "$scratch/var/lib/hermod/tokens" "$scratch/etc/hermod"
touch "$scratch/var/lib/hermod/tokens/key.p12" "$scratch/etc/hermod/hermod.toml"
dpkg_here --purge hermod
there var/lib/hermod/tokens/key.p12 etc/hermod/hermod.toml
[ ! -e "$scratch/usr/bin/hermod" ] || fail "the binary is left"
[ ! -e "$scratch/etc/default/hermod" ] || fail "a conffile is left"
dpkg_here --install "$package" >/dev/null
touch "$scratch/var/lib/hermod/delete-on-purge"
dpkg_here --purge hermod
[ ! -e "$scratch/var/lib/hermod" ] || fail "asked twice, and keys are left"

if command -v lintian >/dev/null; then
  lintian --tag-display-limit 0 --fail-on error,warning \
    --suppress-tags-from-file "$(dirname "${BASH_SOURCE[0]}")/deb/lintian-suppressed" "$package"
else
  echo "lintian is not installed: not linted"
fi
echo "the package is fine"
