#!/usr/bin/env bash
# Cargo with a standard library that is built from source, for options that change all code:
# another processor, a sanitizer. Takes cargo's arguments, with `-Z build-std` after the subcommand.
# No check by itself: aarch64.sh and tsan.sh call it.
#
# Needs a nightly toolchain with rust-src, or else Debian's rustc-web and rust-web-src of one
# version.
set -euo pipefail

if rustup component list --toolchain nightly --installed 2>/dev/null | grep -q '^rust-src'; then
    exec cargo +nightly "$@"
fi
if [[ ! -x /usr/bin/cargo || ! -d /usr/src/rustc-$(/usr/bin/rustc --version | cut -d' ' -f2) ]]; then
    echo "neither a nightly toolchain with rust-src, nor Debian's: apt-get install rustc-web cargo-web rust-web-src" >&2
    exit 2
fi
export PATH="/usr/bin:$PATH" RUSTC_BOOTSTRAP=1
exec /usr/bin/cargo "$@"
