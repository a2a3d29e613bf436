#!/bin/sh
# The compiler with `--cfg killpoints`. crash.sh sets it as RUSTC_WORKSPACE_WRAPPER, so it is used
# for the crates of this workspace only, and dependencies are built once for both. No check by
# itself.
exec "$@" --cfg killpoints
