#!/usr/bin/env bash
# Processes are killed at every step of the protocols: nobody hangs, nothing is lost. An argument is a part of the
# tests' names, if not all of these are meant. Kills at random need no build of their own: they run with all tests.
set -euo pipefail
cd "$(dirname "$0")/.."

logs=$(mktemp --directory)
trap 'rm -rf "$logs"' EXIT
RUSTC_WORKSPACE_WRAPPER="$PWD/ci/rustc-killpoints.sh" cargo test --release --no-run \
    --test crash --test locks --test meet --test segments 2>&1 | tee "$logs/build"
mapfile -t suites < <(sed -n 's/^ *Executable .*(\(.*\))$/\1/p' "$logs/build")
[[ ${#suites[@]} == 4 ]]

for suite in "${suites[@]}"; do
    for test in $("$suite" --list --format terse --skip print_ point | sed -n 's/: test$//p' | grep -F -- "${1:-}"); do
        echo "$suite --exact $test"
    done
done >"$logs/tests"
[[ -s $logs/tests ]] || { echo "no test has \"$1\" in its name" && exit 1; }

# A process for each, several at once: they wait for the dying most of the time.
# shellcheck disable=SC2016 # the inner shell's
xargs --arg-file "$logs/tests" --max-lines=1 --max-procs=4 bash -c '
    if "$@" >"$0/$3" 2>&1; then echo "ok      $3, $(sed -n "s/.*; finished in/in/p" "$0/$3")"; exit; fi
    echo "FAILED  $3"
    cat "$0/$3"
    exit 1
' "$logs"
