#!/usr/bin/env bash
# Runs every bench once, briefly: each works, and what it measures is right. Runs on every change;
# at most 10 minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! compgen -G 'benches/*.rs' >/dev/null; then
    echo "there are no benches yet (benches/)"
    exit
fi
cargo test --workspace --bench '*'
