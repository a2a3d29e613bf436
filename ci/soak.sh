#!/usr/bin/env bash
# The crash tests that kill at random times, with many kills: 20,000, or as CRASH_KILLS says.
set -euo pipefail
cd "$(dirname "$0")/.."

export CRASH_KILLS="${CRASH_KILLS:-20000}"
ci/crash.sh random:: --nocapture
