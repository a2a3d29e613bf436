#!/usr/bin/env bash
# The sources are as rustfmt leaves them, and as the scripts that change them expect them: who
# changes a line that a mutant breaks changes the mutant.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
ci/loom-mutants.sh --check
ci/mutants.sh --check
