#!/usr/bin/env bash
# No warnings, from the compiler or clippy; also in the build with places to die at (see crash.sh).
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy --workspace --all-targets -- -D warnings
cargo clippy --workspace --all-targets -- -D warnings --cfg killpoints
