#!/bin/sh
# The compiler, with places to die at. For the crates of this workspace only (RUSTC_WORKSPACE_WRAPPER), so that
# what they depend on is built once for both.
exec "$@" --cfg killpoints
