#!/usr/bin/env bash
# packaging/arm64.sh: cross-builds hermod for arm64 and packages it. Needs rustup's target aarch64-unknown-linux-gnu and the
# packages gcc-aarch64-linux-gnu and libc6-dev-arm64-cross; a hermod of this machine's architecture in target/release (or
# HERMOD_HOST_BINARY) writes man pages and completions.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=aarch64-unknown-linux-gnu
profile=${HERMOD_PROFILE:-release}
for tool in aarch64-linux-gnu-gcc aarch64-linux-gnu-strip; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install gcc-aarch64-linux-gnu" >&2; exit 2; }
done
rustup target list --installed | grep -qx "$target" || { echo "run: rustup target add $target" >&2; exit 2; }
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc CXX_aarch64_unknown_linux_gnu=aarch64-linux-gnu-g++
export AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar
cargo build --profile "$profile" --target "$target" --bin hermod
folder=$profile; [ "$profile" = dev ] && folder=debug
export HERMOD_HOST_BINARY=${HERMOD_HOST_BINARY:-target/$folder/hermod}
packaging/deb.sh "target/$target/$folder/hermod" arm64
