#!/usr/bin/env bash
# No warnings, from the compiler or clippy; also in the build with places to die at (see crash.sh), of what has some.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy --workspace --all-targets -- -D warnings
cargo clippy --workspace --lib --test crash --test locks --test meet --test segments \
    -- -D warnings --cfg killpoints
# As on a system without an implementation: the contracts hold there, too.
cargo clippy -p ipc-sys -- -D warnings --cfg unsupported
