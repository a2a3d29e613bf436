#!/usr/bin/env bash
# Every fuzz target runs for a short time: 20 seconds, or as FUZZ_SECONDS says.
#
# fault 98
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ ! -d fuzz ]]; then
    echo "there are no fuzz targets yet (fuzz/)"
    exit
fi
cargo +nightly --version || rustup toolchain install nightly --profile minimal --no-self-update
cargo fuzz --version || cargo install --locked cargo-fuzz
for target in $(cargo +nightly fuzz list); do
    cargo +nightly fuzz run "$target" -- -max_total_time="${FUZZ_SECONDS:-20}"
done
