#!/usr/bin/env bash
# Kills a process after each single instruction of `send`, `recv`, locking, unlocking, attaching and leaving, one
# after the other, and fails each system call with each of some errors. About a quarter of an hour; only tests whose
# names contain the argument, if there is one. STEPS=100 kills after a hundred instructions of each, evenly spread.
set -euo pipefail
cd "$(dirname "$0")/.."

STEPS="${STEPS:-all}" cargo test --release --test traced -- --nocapture --test-threads 1 "$@"
