#!/usr/bin/env bash
# All tests, with those in the documentation. Then, if cargo-nextest is installed, the short ones
# again, each in a process of its own and within a minute. Runs on every change; at most 10 minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --workspace
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --test-threads 4 \
        -E 'kind(lib) | binary(/^(locks|segments|shared_memory)$/) | binary(channels) & test(/^watch::/)
            | binary(process) - test(/^limits::/) | binary(pipes) - test(/^fuzz::/)'
else
    echo "cargo-nextest is not installed: the tests ran under cargo test only"
fi
