#!/usr/bin/env bash
# The documentation builds and has no broken link, also that of private items. Runs on every change;
# at most 3 minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

export RUSTDOCFLAGS="-D warnings"
cargo doc --workspace --no-deps --features ipc-channel
cargo doc --workspace --no-deps --features ipc-channel --document-private-items
