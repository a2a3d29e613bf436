#!/usr/bin/env bash
# Kills a process after each single instruction of `send`, `recv`, locking, unlocking, attaching and
# detaching, one after the other, and fails each system call with each of some errors. Runs every
# night; about a quarter of an hour.
#
#   ci/steps.sh [filter]
#
# STEPS=100 kills after a hundred instructions of each, evenly spread.
set -euo pipefail
cd "$(dirname "$0")/.."

STEPS="${STEPS:-all}" cargo test --release --test traced -- --nocapture --test-threads 1 "$@"
