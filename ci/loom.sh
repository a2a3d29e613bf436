#!/bin/sh
# The loom models of ipc-shm and ipc-thread: all interleavings of two or three threads, under weak
# memory, with at most so many preemptions as each model asks for. Runs on every change.
#
#   ci/loom.sh [filter...]
#   ci/loom.sh --full [filter...]   the models that take longest with one more preemption. Runs
#                                   every night
#
# LOOM_MAX_PREEMPTIONS=n searches further, or less far, than each model asks for.
#
# fault 94
set -eu
cd "$(dirname "$0")/.."
if [ "${1:-}" = --full ]; then
    export LOOM_FULL=1
    shift
fi
export RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/loom"
exec cargo test --release -p ipc-shm -p ipc-thread --test loom -- --test-threads 2 "$@"
