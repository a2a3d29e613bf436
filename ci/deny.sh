#!/usr/bin/env bash
# Dependencies have licences that ask for no more than a notice, one source, and one version of each
# crate: deny.toml. Advisories need the network, and are not part of this: `cargo deny check
# advisories`. Runs on every change; at most 3 minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo deny --version || cargo install --locked cargo-deny
cargo fetch --locked
cargo deny --offline check bans licenses sources
