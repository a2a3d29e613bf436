#!/usr/bin/env bash
# Kills processes at every step of the protocols: no process hangs, and nothing is lost. Kills at
# random need no build of their own, and run with all tests. Runs on every change; at most 15
# minutes.
#
#   ci/crash.sh [part of a test's name]
#   ci/crash.sh --release [part of a test's name]   optimised code. Runs every night
set -euo pipefail
cd "$(dirname "$0")/.."

profile=dev
if [[ ${1:-} == --release ]]; then
    profile=release
    shift
fi
logs=$(mktemp --directory)
trap 'rm -rf "$logs"' EXIT
RUSTC_WORKSPACE_WRAPPER="$PWD/ci/rustc-killpoints.sh" cargo test --profile $profile --no-run \
    --test crash --test locks --test pipes --test segments 2>&1 | tee "$logs/build"
mapfile -t suites < <(sed -n 's/^ *Executable .*(\(.*\))$/\1/p' "$logs/build")
[[ ${#suites[@]} == 4 ]]

for suite in "${suites[@]}"; do
    for test in $("$suite" --list --format terse --skip print_ point | sed -n 's/: test$//p' | grep -F -- "${1:-}"); do
        echo "$suite --exact $test"
    done
done >"$logs/tests"
[[ -s $logs/tests ]] || { echo "no test has \"$1\" in its name" && exit 1; }

# One process for each test, several at once: they mostly wait for processes to die.
# shellcheck disable=SC2016 # the inner shell's
xargs --arg-file "$logs/tests" --max-lines=1 --max-procs=4 bash -c '
    if "$@" >"$0/$3" 2>&1; then echo "ok      $3, $(sed -n "s/.*; finished in/in/p" "$0/$3")"; exit; fi
    echo "FAILED  $3"
    cat "$0/$3"
    exit 1
' "$logs"
