#!/usr/bin/env bash
# The public API of the crates that users name is as the listings in ci/api say. API=write writes
# them anew, for an intended change, which then belongs into the changelog. Runs on every change; at
# most 5 minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

# The build of the dependencies is that of docs.sh. Its pages show private items too, and go.
pages="${CARGO_TARGET_DIR:-target}/doc"
crates=(multiprocess ipc_core ipc_shm ipc_pipes)
rm -rf "${crates[@]/#/$pages/}"
cargo doc --no-deps --features ipc-channel -p multiprocess -p ipc-core -p ipc-shm -p ipc-pipes

changed=0
for crate in "${crates[@]}"; do
    listing="ci/api/${crate//_/-}.txt"
    if [[ ${API-} == write ]]; then
        perl ci/api/listing.pl "$pages" "$crate" >"$listing"
    else
        diff -u "$listing" <(perl ci/api/listing.pl "$pages" "$crate") || changed=1
    fi
done
if ((changed)); then
    echo "The public API has changed. If that is meant: API=write ci/api.sh, and say so in CHANGELOG.md." >&2
fi
exit $changed
