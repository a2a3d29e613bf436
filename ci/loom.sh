#!/usr/bin/env bash
# Models of the lock-free parts: all interleavings, and what weak memory allows.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ ! -e ipc-shm/tests/loom.rs ]]; then
    echo "there are no models yet (ipc-shm/tests/loom.rs)"
    exit
fi
RUSTFLAGS="--cfg loom" cargo test --release -p ipc-shm --test loom \
    --target-dir "${CARGO_TARGET_DIR:-target}/loom"
