#!/usr/bin/env bash
# Processes are killed at random and others take their place, for so many minutes, or ten: channels of plain data, of
# bytes and of any type, over sockets and pipes; every lock; segments that race for a name. Each test reconciles what
# was sent, received, locked and named, and throws other dice in each round.
#
#   ci/soak.sh [minutes]
#   SEED=n ci/soak.sh            the dice of a round that failed, as it printed them, once
#
# CRASH_KILLS and LOCK_KILLS are the kills of one round.
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=${1:-10} end=$((SECONDS + 60 * ${1:-10})) rounds=0
log=$(mktemp)
trap 'rm -f "$log" "$log.round"' EXIT
tests=(cargo test --quiet --release --test crash --test locks --test segments)
"${tests[@]}" --no-run
while ((rounds == 0)) || [[ ${SEED:-} == "" && $SECONDS -lt $end ]]; do
    echo "::: round $((rounds += 1))"
    status=0
    "${tests[@]}" -- --nocapture random:: race:: killed_at_any_time </dev/null >"$log.round" 2>&1 || status=$?
    grep -E 'SEED|kills' "$log.round" | tee -a "$log"
    if ((status != 0)); then
        cat "$log.round"
        exit "$status"
    fi
done
kills=$(grep -oE '[0-9]+ kills' "$log" | awk '{ sum += $1 } END { print sum + 0 }')
echo "::: $rounds rounds, $kills kills in $SECONDS s, of $minutes minutes asked for: all is accounted for"
