#!/bin/sh
# The loom models of ipc-shm and ipc-thread: all interleavings of two or three threads, under weak
# memory. Runs on every change; a minute and a half of processor time.
#
#   ci/loom.sh [filter...]
#
# LOOM_MAX_PREEMPTIONS=n searches further, or less far, than each model asks for.
#
# fault 94
set -eu
cd "$(dirname "$0")/.."
export RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/loom"
exec cargo test --release -p ipc-shm -p ipc-thread --test loom -- --test-threads 2 "$@"
