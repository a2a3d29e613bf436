#!/usr/bin/env bash
# All tests, with those in the documentation; then the tests again under cargo-nextest, where each has a
# process of its own, if it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --workspace
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --test-threads 4
else
    echo "cargo-nextest is not installed: the tests ran under cargo test only"
fi
