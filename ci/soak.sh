#!/usr/bin/env bash
# The crash tests that kill at random times, with many kills: 20,000 for the channels and as many for the locks, or
# as CRASH_KILLS and LOCK_KILLS say.
set -euo pipefail
cd "$(dirname "$0")/.."

export CRASH_KILLS="${CRASH_KILLS:-20000}" LOCK_KILLS="${LOCK_KILLS:-20000}"
ci/crash.sh random:: --nocapture
