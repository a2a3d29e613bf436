#!/usr/bin/env bash
# Processes are killed at every step of the protocol: nobody hangs, nothing is lost. Arguments go to the
# tests: a part of their names, say.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ ! -e tests/crash.rs ]]; then
    echo "there are no crash tests yet (tests/crash.rs)"
    exit
fi
tests() { RUSTC_WORKSPACE_WRAPPER="$PWD/ci/rustc-killpoints.sh" cargo test --release "$@"; }
tests --test crash --test meet --test segments -- "$@"
if [[ $# == 0 ]]; then
    # The rest of the locks' tests kills nobody at a point, and runs with all others.
    set -- points:: random::
fi
tests --test locks -- "$@"
