#!/usr/bin/env bash
# Tests with hostile peers and bad input, built to abort at a panic: nothing that a peer writes may
# cause a panic, not even one that is caught. Runs every night; at most an hour.
set -euo pipefail
cd "$(dirname "$0")/.."

# The test harness does this only with a flag that is not stable yet. Each test then has a process
# of its own.
export RUSTC_BOOTSTRAP=1 CARGO_PROFILE_DEV_PANIC=abort CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/abort"
tests() { cargo test -Z panic-abort-tests "$@"; }
tests -p ipc-shm --test hostile
tests --test locks hostile
# The other suites start children under the names of their tests, which confuses the children that
# the flag starts.
