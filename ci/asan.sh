#!/usr/bin/env bash
# AddressSanitizer with its leak check, over the tests with hostile peers and the unit tests of
# shared memory and pipes: whatever a peer writes, nothing is read or written out of bounds. Runs
# every night; at most an hour.
#
#   ci/asan.sh [filter...]
set -euo pipefail
cd "$(dirname "$0")/.."

# Some tests expect a child to die of SIGSEGV, and not of the sanitizer's report of it.
export ASAN_OPTIONS="handle_segv=0 ${ASAN_OPTIONS:-}"
# The flag is unstable; this makes a stable compiler accept it.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address ${RUSTFLAGS:-}" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/asan"
# With a target named, build scripts and macros are built without the sanitizer.
target=$(rustc +stable -vV | sed -n 's/^host: //p')
tests() { cargo +stable test --target "$target" "$@"; }
tests -p ipc-shm --lib --test hostile --test threads -- "$@"
tests -p ipc-pipes --lib -- "$@"
tests --test pipes --test segments -- --skip meet:: "$@"
tests -p multiprocess-interop --test shared_memory -- "$@"
