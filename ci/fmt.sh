#!/usr/bin/env bash
# The sources are as rustfmt leaves them.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
