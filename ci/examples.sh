#!/usr/bin/env bash
# Builds and runs every example once; counter and wordcount also with a killed process, wordcount
# also with threads. Runs on every change; at most 7 minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

run() {
    echo "== $*"
    timeout --kill-after 5 60 cargo run --quiet --release --example "$@" </dev/null
}
# The first command of the README.
timeout --kill-after 5 240 cargo run --release --example wordcount -- --kill </dev/null
cargo build --release --examples
for example in examples/*.rs examples/*/main.rs; do
    run "$(basename "${example%/main.rs}" .rs)"
done
run counter -- --kill
run wordcount -- --route thread
