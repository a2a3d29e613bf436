#!/usr/bin/env bash
# Fuzzes: each target for 5 seconds, or those that are named for as long as FUZZ_SECONDS says.
#
#   ci/fuzz.sh                                  each for a moment, from the committed corpus
#   FUZZ_SECONDS=3600 ci/fuzz.sh ring_model     an hour of one; what it finds new stays in fuzz/target/corpus
#   FUZZ_SANITIZER=none ci/fuzz.sh              without AddressSanitizer: two to six times as many in the same time
#   JOBS=1 ci/fuzz.sh                           one target after the other, not as many at once as there are processors
#
# Inputs that fail are in fuzz/artifacts; FUZZ_OPTIONS are libFuzzer's, `-jobs=8` or `-runs=10000000` say.
#
# fault 98
set -euo pipefail
cd "$(dirname "$0")/.."

# What fuzzing needs of the compiler is unstable: a nightly one, or a stable one that is told to allow it.
if cargo +nightly --version 2>/dev/null || rustup toolchain install nightly --profile minimal --no-self-update; then
    fuzz=(cargo +nightly fuzz)
else
    export RUSTC_BOOTSTRAP=1
    fuzz=(cargo +stable fuzz)
fi
# It starts compilers only: built as fast as can be.
cargo fuzz --version || cargo install --locked --debug cargo-fuzz

targets=("$@")
if [[ $# == 0 ]]; then
    read -ra targets -d '' < <("${fuzz[@]}" list) || true
fi
# Not for stacks that are left by unwinding, as a killed process' is: it takes most of the time.
export ASAN_OPTIONS="detect_stack_use_after_return=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
how=(--sanitizer "${FUZZ_SANITIZER:-address}")
"${fuzz[@]}" build "${how[@]}"
logs=$(mktemp --directory)
trap 'rm -rf "$logs"' EXIT
# As many at once as there are processors. Of what libFuzzer says, what it found by the way is left out.
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
