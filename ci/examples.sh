#!/usr/bin/env bash
# Every example is built and run once; wordcount also with a killed worker, and with threads.
set -euo pipefail
cd "$(dirname "$0")/.."

run() {
    echo "== $*"
    timeout --kill-after 5 60 cargo run --quiet --release --example "$@" </dev/null
}
cargo build --release --examples
for example in examples/*.rs examples/*/main.rs; do
    run "$(basename "${example%/main.rs}" .rs)"
done
run counter -- --kill
run wordcount -- --kill
run wordcount -- --route thread
