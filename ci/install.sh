#!/usr/bin/env bash
# Installs what ci/NAME.sh needs and a plain Debian or Ubuntu with rustup lacks. No check by itself:
# the workflows call it before a script.
#
#   ci/install.sh NAME
set -euo pipefail
cd "$(dirname "$0")/.."

sudo=$([[ $EUID == 0 ]] || echo sudo)
packages() {
    $sudo apt-get update
    $sudo apt-get install -y --no-install-recommends "$@"
}
command -v cc >/dev/null || packages gcc libc6-dev
rustup component add rustfmt clippy

case ${1:?usage: ci/install.sh NAME} in
aarch64)
    packages qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    rustup toolchain install nightly --profile minimal --component rust-src
    ;;
tsan) rustup toolchain install nightly --profile minimal --component rust-src ;;
fuzz) rustup toolchain install nightly --profile minimal ;;
*) [[ -x ci/$1.sh ]] || { echo "there is no ci/$1.sh" >&2 && exit 2; } ;;
esac
