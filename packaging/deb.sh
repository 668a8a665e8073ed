#!/usr/bin/env bash
# packaging/deb.sh BINARY [ARCHITECTURE] [FOLDER]: a Debian package of an already built hermod.
#
# ARCHITECTURE is amd64 by default, FOLDER target/package. Man pages and completions are written by a hermod that runs here:
# BINARY itself, or HERMOD_HOST_BINARY where BINARY is for another architecture. Prints the package's path.
set -euo pipefail
binary=$(realpath "$1")
architecture=${2:-amd64}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=${3:-target/package}
host=${HERMOD_HOST_BINARY:-$binary}
case $architecture in
  amd64) tools="" ;;
  arm64) tools="aarch64-linux-gnu-" ;;
  *) echo "unknown architecture $architecture" >&2; exit 2 ;;
esac
version=$("$host" --version | awk '{print $2}')
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
package="$folder/hermod_${version}_${architecture}.deb"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
umask 022

place() { install -D -m "${3:-644}" "$1" "$tree/$2"; }
compressed() { gzip -9nc "$1" >"$tree/$2"; chmod 644 "$tree/$2"; }

mkdir -p "$tree/usr/bin"
# The key that a core dump is read with is not what a server needs on its disk.
"${tools}strip" --strip-unneeded -o "$tree/usr/bin/hermod" "$binary"
chmod 755 "$tree/usr/bin/hermod"

# Units of every kind; drop-ins are folders.
(cd systemd && find . -type f \( -name '*.service' -o -name '*.socket' -o -name '*.slice' -o -name '*.target' -o -name '*.timer' \) -print0) |
  while IFS= read -r -d '' unit; do place "systemd/$unit" "usr/lib/systemd/system/${unit#./}"; done
# For systemd before 253; the maintainer script puts it in force there.
if [ -e systemd/hermod.service.d/notify.conf ]; then
  place systemd/hermod.service.d/notify.conf usr/share/hermod/notify.conf
fi
place systemd/hermod.sysusers usr/lib/sysusers.d/hermod.conf
place systemd/hermod.tmpfiles usr/lib/tmpfiles.d/hermod.conf
place packaging/deb/default etc/default/hermod

generated=$(mktemp -d)
"$host" generate man "$generated"
mkdir -p "$tree/usr/share/man/man1" "$tree/usr/share/man/man5"
for page in "$generated"/*.[15]; do
  compressed "$page" "usr/share/man/man${page##*.}/$(basename "$page").gz"
done
"$host" generate completions "$generated"
place "$generated/hermod.bash" usr/share/bash-completion/completions/hermod
place "$generated/_hermod" usr/share/zsh/vendor-completions/_hermod
place "$generated/hermod.fish" usr/share/fish/vendor_completions.d/hermod.fish
rm -rf "$generated"

doc=usr/share/doc/hermod
place packaging/deb/copyright "$doc/copyright"
place src/config/example.toml "$doc/examples/hermod.toml"
for page in README.md docs/*.md; do place "$page" "$doc/${page#docs/}"; done
if [ -d docs/grafana ]; then for board in docs/grafana/*.json; do place "$board" "$doc/examples/$(basename "$board")"; done; fi
changelog=$(mktemp)
printf 'hermod (%s) unstable; urgency=medium\n\n  * See the history of the repository.\n\n -- The Hermod developers <hermod@localhost>  %s\n' \
  "$version" "$(date -Ru -d "@$epoch")" >"$changelog"
compressed "$changelog" "$doc/changelog.gz"
rm "$changelog"

mkdir "$tree/DEBIAN"
glibc=$("${tools}objdump" -T "$tree/usr/bin/hermod" | grep -o 'GLIBC_2\.[0-9]*' | sort -uV | tail -1 | cut -d_ -f2)
libgcc=$("${tools}objdump" -p "$tree/usr/bin/hermod" | grep -q 'NEEDED.*libgcc_s' && echo ', libgcc-s1' || true)
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" \
  -e "s/@DEPENDS@/libc6 (>= $glibc)$libgcc/" \
  -e "s/@SIZE@/$(du -sk --exclude=DEBIAN "$tree" | cut -f1)/" packaging/deb/control >"$tree/DEBIAN/control"
(cd "$tree" && find etc -type f -printf '/%p\n' | sort) >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do install -m 755 "packaging/deb/$script" "$tree/DEBIAN/$script"; done
(cd "$tree" && find usr etc -type f -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
find "$tree" -depth -newermt "@$epoch" -exec touch -hd "@$epoch" {} +

mkdir -p "$folder"
SOURCE_DATE_EPOCH=$epoch dpkg-deb --root-owner-group -Zxz --build "$tree" "$package" >/dev/null
echo "$package"
