#!/usr/bin/env bash
# The documentation builds, no link in it leads nowhere; that of private items, too.
set -euo pipefail
cd "$(dirname "$0")/.."

export RUSTDOCFLAGS="-D warnings"
cargo doc --workspace --no-deps --features ipc-channel
cargo doc --workspace --no-deps --features ipc-channel --document-private-items
