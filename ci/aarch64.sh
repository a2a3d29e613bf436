#!/usr/bin/env bash
# The tests on aarch64 Linux, under qemu's user emulation: sizes, layouts, system calls and the
# width of atomics. On an x86 machine qemu keeps x86's memory order, so this never finds a missing
# barrier; the loom models do. Runs every night; at most 2 hours.
#
#   ci/aarch64.sh                         libraries, and suites without signals at exact places
#   ci/aarch64.sh --test crash [filter]   arguments of cargo test
#
# Needs Debian's qemu-user, gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, and what build-std.sh
# needs. AARCH64_SECONDS is the time limit of one call.
#
# fault 101
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
# A test starts its own binary, which must be emulated too. So the kernel is configured to run
# aarch64 binaries with qemu, in namespaces of this script, which no other process sees.
runner=$(mktemp)
trap 'rm -f "$runner"' EXIT
cat >"$runner" <<'RUN'
#!/bin/bash
exec unshare -Urm --kill-child bash -c '
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
printf %s ":a64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64:" > /proc/sys/fs/binfmt_misc/register
export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu; exec "$@"' aarch64 "$@"
RUN
chmod +x "$runner"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=$runner CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/aarch64"
tests() { timeout --kill-after 10 "${AARCH64_SECONDS:-1800}" ci/build-std.sh test -Z build-std --target $target "$@"; }
if [[ $# -gt 0 ]]; then
    tests "$@"
else
    tests -p ipc-core -p ipc-sys -p ipc-shm -p ipc-pipes --lib
    tests -p ipc-thread --test channels
    tests --features ipc-channel --test channels --test conformance --test process --test segments --test pipes --test locks -- \
        --skip drop_in:: --skip types:: --skip watch:: --skip limits:: --skip fuzz::
    tests -p multiprocess-interop --test shared_memory
fi
