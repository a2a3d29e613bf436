#!/usr/bin/env bash
# ThreadSanitizer, over threads that share one mapping. It checks the orderings that the code names,
# whatever this processor does: it reports a Relaxed where Acquire belongs. It sees neither other
# processes nor a race through two mappings. Runs every night; at most an hour.
#
#   ci/tsan.sh [filter...]
#
# fault 97
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(rustc -vV | sed -n 's/^host: //p')
# Debian's compiler comes without the runtimes of the sanitizers. Those of a toolchain with the same
# LLVM fit.
if ! rustup component list --toolchain nightly --installed 2>/dev/null | grep -q '^rust-src'; then
    there=/usr/lib/rustlib/$target/lib
    here=$(rustc +stable --print sysroot)/lib/rustlib/$target/lib
    for runtime in "$here"/librustc-*_rt.tsan.a; do
        [[ -e $there/${runtime##*/} ]] || cp "$runtime" "$there/"
    done
fi
# ThreadSanitizer ignores fences. Here they order only the words of sleepers and of membership,
# which the loom models check. No plain data depends on them.
export RUSTFLAGS="-Zsanitizer=thread ${RUSTFLAGS:-}" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/tsan"
export TSAN_OPTIONS="exitcode=66 ${TSAN_OPTIONS:-}"
tests() { ci/build-std.sh test -Z build-std --release --target "$target" "$@"; }
tests -p ipc-shm --lib --test threads -- "$@"
tests -p ipc-thread --test channels -- "$@"
tests --features ipc-channel --test conformance -- "${@:-conformance::}"
