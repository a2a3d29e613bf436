#!/usr/bin/env bash
# Kills processes at random and starts others in their place, for some minutes: channels of plain
# data, of bytes and of any type, over shared memory, sockets and pipes; processes that select over
# several channels; every lock; segments that race for a name. Each test reconciles what was sent,
# received, locked and named, counts what its process has open, and uses another seed each time.
# Runs every night, for an hour.
#
# Before that, all tests run three times in a row beside eight busy loops: a death must be noticed,
# and a deadline kept, however loaded the machine is. BUSY=0 skips this.
#
#   ci/soak.sh [minutes]         10, if not given
#   SEED=n ci/soak.sh            each test once, with the seed that a failed one printed
#
# CRASH_KILLS and LOCK_KILLS are the kills of one round, JOBS how many tests run at once.
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=${1:-10} end=$((SECONDS + 60 * ${1:-10})) rounds=0
export CRASH_KILLS="${CRASH_KILLS:-7000}" LOCK_KILLS="${LOCK_KILLS:-3000}" RUST_BACKTRACE=0
logs=$(mktemp --directory)
loops=()
trap '((${#loops[@]} == 0)) || kill "${loops[@]}"; rm -rf "$logs"' EXIT

if [[ ${SEED:-} == "" && ${BUSY:-8} != 0 ]]; then
    cargo test --workspace --no-run
    for ((n = 0; n < ${BUSY:-8}; n++)); do
        while :; do :; done &
        loops+=($!)
    done
    for turn in 1 2 3; do
        cargo test --workspace >"$logs/busy" 2>&1 || { cat "$logs/busy" && exit 1; }
        echo "::: all tests pass beside ${#loops[@]} busy loops, $turn of 3"
    done
    kill "${loops[@]}"
    wait "${loops[@]}" 2>/dev/null || true
    loops=()
    # The time for these runs does not count.
    end=$((SECONDS + 60 * ${1:-10}))
fi

cargo test --release --no-run --test crash --test locks --test segments 2>&1 | tee "$logs/build"
mapfile -t suites < <(sed -n 's/^ *Executable .*(\(.*\))$/\1/p' "$logs/build")
[[ ${#suites[@]} == 3 ]]
for suite in "${suites[@]}"; do
    for test in $("$suite" --list --format terse random:: race:: killed_at_any_time | sed -n 's/: test$//p'); do
        echo "$suite --nocapture --exact $test"
    done
done >"$logs/tests"
grep -v ' race::' "$logs/tests" >"$logs/channels"
grep ' race::' "$logs/tests" >"$logs/segments"

# Names in shared memory and in the directories of sockets, also those that an earlier, unfinished
# test left.
names() {
    find /dev/shm "${XDG_RUNTIME_DIR:-/tmp}/" -maxdepth 1 -name '*multiprocess*' -exec find {} ! -type d \; \
        2>/dev/null | sort
}
names >"$logs/names"

# Runs all tests of a kind, in random order.
play() {
    # A test that fails exits with 255, and xargs starts no more.
    # shellcheck disable=SC2016 # the inner shell's
    xargs --arg-file <(shuf "$logs/$1") --max-lines=1 --max-procs="${JOBS:-$(nproc)}" bash -c '
        log=$0/$4.$$
        if "$@" >"$log" 2>&1; then grep -hE "SEED=|[0-9] kills" "$log" | tr "\n" " " && echo && rm "$log"; exit; fi
        echo "FAILED  $4"
        cat "$log"
        exit 255
    ' "$logs" </dev/null | tee -a "$logs/all"
}

# The processes that select: a thorough run of its own.
[[ ${SEED:-} != "" ]] || ci/selectors.sh "${SELECT_KILLS:-20000}"

while ((rounds == 0)) || [[ ${SEED:-} == "" && $SECONDS -lt $end ]]; do
    : $((rounds += 1))
    # Not at once: the tests of channels count names, and the tests of segments create some.
    play channels
    play segments
done
names | comm -13 "$logs/names" - | { ! grep . || { echo "these names were left behind" && exit 1; }; }
kills=$(grep -oE '[0-9]+ kills' "$logs/all" | awk '{ sum += $1 } END { print sum + 0 }')
echo "::: $rounds rounds, $kills kills in $SECONDS s, of $minutes minutes asked for: all is accounted for"
