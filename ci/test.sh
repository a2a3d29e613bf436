#!/usr/bin/env bash
# All tests, with those in the documentation. Then, if cargo-nextest is installed, the tests that
# depend on how their process was started again, each in a process of its own and within a minute.
# Runs on every change; at most 25 minutes.
#
#   ci/test.sh            as above
#   ci/test.sh --alone    only the second part, with most of the tests. Runs every night
set -euo pipefail
cd "$(dirname "$0")/.."

tests='binary(process) & test(/^(start|parent|reaped|active)::/) | binary(program)'
case ${1:-} in
--alone)
    tests='kind(lib) | binary(/^(locks|segments|shared_memory|program)$/) | binary(channels) & test(/^watch::/)
        | binary(process) - test(/^limits::/) | binary(pipes) - test(/^fuzz::/)'
    ;;
"") cargo test --workspace ;;
*)
    echo "usage: $0 [--alone]" >&2
    exit 2
    ;;
esac
if cargo nextest --version >/dev/null 2>&1 || { [[ ${1:-} ]] && cargo install --locked cargo-nextest; }; then
    cargo nextest run --workspace --test-threads 4 -E "$tests"
else
    echo "cargo-nextest is not installed: the tests ran under cargo test only"
fi
