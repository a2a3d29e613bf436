#!/usr/bin/env bash
# What is depended on has licences that ask for a notice only, no two versions of a crate, one source: deny.toml.
# Advisories need the network, and are not part of this: `cargo deny check advisories`.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo deny --version || cargo install --locked cargo-deny
cargo fetch --locked
cargo deny --offline check bans licenses sources
