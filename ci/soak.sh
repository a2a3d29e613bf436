#!/usr/bin/env bash
# The crash tests with many kills at random times: 20,000, or as CRASH_KILLS says.
set -euo pipefail
cd "$(dirname "$0")/.."

export CRASH_KILLS="${CRASH_KILLS:-20000}"
ci/crash.sh
