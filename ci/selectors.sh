#!/usr/bin/env bash
# Kills 2,000 processes that select over shared memory, a socket, an event and a semaphore, or on
# whose ends others select, and starts others in their place: no wake-up is lost for good, no
# process hangs, and each message is accounted for. Runs every night; about 3 minutes, in slices of
# less than a minute, each with another seed.
#
#   ci/selectors.sh [kills]      2000, if not given
#   SEED=n ci/selectors.sh 500   with the seed that a failed one printed
set -euo pipefail
cd "$(dirname "$0")/.."

kills=${1:-2000} slice=500 killed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo test --release --no-run --test crash
while ((killed < kills)); do
    # The test kills its part of `CRASH_KILLS`: an eighth.
    CRASH_KILLS=$((slice * 8)) RUST_BACKTRACE=0 cargo test --quiet --release --test crash -- --nocapture \
        --exact selectors::mixed_routes_killed_at_any_time >"$log" 2>&1 || { cat "$log" && exit 1; }
    grep -h 'kills in' "$log"
    : $((killed += slice))
done
echo "::: $killed kills in $SECONDS s: all is accounted for"
