#!/usr/bin/env bash
# No warning from the compiler or clippy; also in the build with kill points (see crash.sh), for the
# packages that have some. Runs on every change; at most 7 minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy --workspace --all-targets -- -D warnings
cargo clippy --workspace --lib --test crash --test locks --test pipes --test segments \
    -- -D warnings --cfg killpoints
# As on a system without an implementation: the contracts hold there, too.
cargo clippy -p ipc-sys -- -D warnings --cfg unsupported
