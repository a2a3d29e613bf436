#!/usr/bin/env bash
# Every bench runs once, briefly: it works, and what it measures is right.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! compgen -G 'benches/*.rs' >/dev/null; then
    echo "there are no benches yet (benches/)"
    exit
fi
cargo test --workspace --bench '*'
