#!/usr/bin/env bash
# ThreadSanitizer: threads that share one mapping. It goes by the orderings that the code names, whatever this
# processor does: a Relaxed where Acquire belongs is reported. It sees neither other processes nor a race through
# two mappings.
#
#   ci/tsan.sh [filter...]
#
# fault 97
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
# Fences are nothing to it. Here they order words of sleepers and of membership among each other, which is loom's
# to check; no plain data rides on them.
export RUSTFLAGS="-Zsanitizer=thread ${RUSTFLAGS:-}" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/tsan"
export TSAN_OPTIONS="exitcode=66 ${TSAN_OPTIONS:-}"
tests() { ci/build-std.sh test -Z build-std --release --target "$target" "$@"; }
tests -p ipc-shm --lib --test threads -- "$@"
tests --features ipc-channel --test conformance -- "$@"
