#!/usr/bin/env bash
# Tests with hostile peers and bad input again, built to abort at a panic: what a peer can write must not reach one,
# not even one that somebody catches.
set -euo pipefail
cd "$(dirname "$0")/.."

# The test harness does this only with a flag that is not stable yet; then each test has a process of its own.
export RUSTC_BOOTSTRAP=1 CARGO_PROFILE_DEV_PANIC=abort CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/abort"
tests() { cargo test -Z panic-abort-tests "$@"; }
tests -p ipc-shm --test hostile
tests --test locks hostile
# The other suites start children under the names of their tests, which that flag's own children confuse.
