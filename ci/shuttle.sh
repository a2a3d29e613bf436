#!/bin/sh
# Runs the protocol of ipc-shm under random schedules with random deaths. Runs on every change; some
# seconds for three thousand schedules of each test.
#
#   ci/shuttle.sh [filter...]
#
# SHUTTLE_SCHEDULES=n runs n of each. SHUTTLE_RANDOM_SEED=n repeats a seed that was printed before.
#
# fault 95
set -eu
cd "$(dirname "$0")/.."
export RUSTFLAGS="--cfg loom --cfg shuttle" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/shuttle"
exec cargo test --release -p ipc-shm --test shuttle -- --nocapture --test-threads 2 "$@"
