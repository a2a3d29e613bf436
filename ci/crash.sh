#!/usr/bin/env bash
# Processes are killed at every step of the protocol: nobody hangs, nothing is lost. Arguments go to the
# tests: a part of their names, say.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ ! -e tests/crash.rs ]]; then
    echo "there are no crash tests yet (tests/crash.rs)"
    exit
fi
RUSTFLAGS="--cfg killpoints" cargo test --release --test crash \
    --target-dir "${CARGO_TARGET_DIR:-target}/killpoints" -- "$@"
