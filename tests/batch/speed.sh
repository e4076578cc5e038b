#!/usr/bin/env bash
# 20,000 lines against a local provider that takes 50 ms, allows 200 calls at once and answers 429 past that; killed and
# resumed twice on the way. Prints time over ideal time, and peak memory. `make test` runs a short form.
set -eu
cd "$(dirname "$0")/../.."
"${CARGO:-cargo}" build --release -p trunkline-cli
LINES="${LINES:-20000}" TRUNKLINE_BIN="${TRUNKLINE_BIN:-$PWD/${CARGO_TARGET_DIR:-target}/release/trunkline}" \
    exec "${CARGO:-cargo}" test -p trunkline-cli --test it speed:: -- --nocapture
