#!/usr/bin/env bash
# The libraries compile with the oldest compiler that Cargo.toml promises. Runs on every change; at
# most 3 minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

oldest=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
if ! cargo "+$oldest" --version; then
    rustup toolchain install "$oldest" --profile minimal --no-self-update || {
        echo "rustc $oldest cannot be installed here: not checked"
        exit
    }
fi
cargo "+$oldest" check --workspace --target-dir "${CARGO_TARGET_DIR:-target}/msrv"
