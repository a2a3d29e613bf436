#!/usr/bin/env bash
# Fuzzes: each target for 5 seconds, or the named targets for FUZZ_SECONDS. Runs on every change, at
# most 10 minutes; every week with an hour for each target.
#
#   ci/fuzz.sh                                each target briefly, from the committed corpus
#   FUZZ_SECONDS=3600 ci/fuzz.sh ring_model   one target for an hour; keeps what is new in
#                                             fuzz/target/corpus
#   FUZZ_SANITIZER=none ci/fuzz.sh            without AddressSanitizer: two to six times the runs
#   JOBS=1 ci/fuzz.sh                         one target after the other, not one per processor
#
# Inputs that fail are in fuzz/artifacts. FUZZ_OPTIONS are libFuzzer's, for example `-jobs=8` or
# `-runs=10000000`.
#
# fault 98
set -euo pipefail
cd "$(dirname "$0")/.."

# Fuzzing needs unstable options: a nightly compiler, or a stable one that is made to accept them.
if cargo +nightly --version 2>/dev/null || rustup toolchain install nightly --profile minimal --no-self-update; then
    fuzz=(cargo +nightly fuzz)
else
    export RUSTC_BOOTSTRAP=1
    fuzz=(cargo +stable fuzz)
fi
# cargo-fuzz only starts compilers, so it is built without optimisation.
cargo fuzz --version || cargo install --locked --debug cargo-fuzz

targets=("$@")
if [[ $# == 0 ]]; then
    read -ra targets -d '' < <("${fuzz[@]}" list) || true
fi
# The check takes most of the time, and fails for stacks that unwinding leaves, as that of a killed
# process.
export ASAN_OPTIONS="detect_stack_use_after_return=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
how=(--sanitizer "${FUZZ_SANITIZER:-address}")
"${fuzz[@]}" build "${how[@]}"
logs=$(mktemp --directory)
trap 'rm -rf "$logs"' EXIT
# As many at once as there are processors. Lines of libFuzzer about new inputs are left out.
# shellcheck disable=SC2016 # the inner shell's
printf '%s\n' "${targets[@]}" | xargs --max-lines=1 --max-procs="${JOBS:-$(nproc)}" bash -c '
    set -uo pipefail
    logs=$0 command=$1 target=$2
    # The first folder is written to, the committed one is only read.
    mkdir -p "fuzz/target/corpus/$target"
    $command "$target" "fuzz/target/corpus/$target" "fuzz/corpus/$target" -- \
        -max_total_time="${FUZZ_SECONDS:-5}" -timeout=10 -print_final_stats=1 ${FUZZ_OPTIONS:-} 2>&1 |
        sed -u "/NEW_FUNC\|\(NEW\|REDUCE\|pulse\) /d; /^\"/d" >"$logs/$target"
    failed=$?
    echo "== $target"
    cat "$logs/$target"
    exit $failed
' "$logs" "${fuzz[*]} run ${how[*]}"
