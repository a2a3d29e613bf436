#!/usr/bin/env bash
# Checks sources as text: rustfmt's layout, the words and citations of comments (words.sh), that
# files do not use each other in a circle (circles.sh), and that every mutation still finds the line
# that it changes. A change of such a line changes the mutation too. Runs on every change; some
# seconds.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
ci/words.sh
ci/circles.sh
ci/loom-mutants.sh --check
ci/mutants.sh --check
