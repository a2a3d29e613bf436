#!/usr/bin/env bash
# ThreadSanitizer: threads that share one mapping, on the channels and on the locks. It sees neither the other
# process nor a race through two mappings, and it finds what is missing on this processor's memory model only by
# the orderings that the code names: a Relaxed where Acquire belongs is reported.
#
#   ci/tsan.sh [filter...]
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(rustc -vV | sed -n 's/^host: //p')
# Debian's compiler comes without the sanitizers' runtimes; those of a toolchain of the same LLVM fit.
if ! rustup component list --toolchain nightly --installed 2>/dev/null | grep -q '^rust-src'; then
    there=/usr/lib/rustlib/$target/lib
    here=$(rustc +stable --print sysroot)/lib/rustlib/$target/lib
    for runtime in "$here"/librustc-*_rt.tsan.a; do
        [[ -e $there/${runtime##*/} ]] || cp "$runtime" "$there/"
    done
fi
# A fence is nothing to it (`sync.rs`), so its build has read-modify-writes in their place.
export RUSTFLAGS="-Zsanitizer=thread --cfg tsan ${RUSTFLAGS:-}" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/tsan"
export TSAN_OPTIONS="halt_on_error=0 exitcode=66 ${TSAN_OPTIONS:-}"
ci/build-std.sh test -Z build-std --target "$target" -p ipc-shm --test threads --test hostile --lib -- "$@"
ci/build-std.sh test -Z build-std --target "$target" --test conformance --test locks as_std "$@"
