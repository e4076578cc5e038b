#!/usr/bin/env bash
# 20,000 lines against a local provider that takes 50 ms, allows 200 calls at once and answers 429 past that; killed and
# resumed twice on the way. Prints time over ideal time, and peak memory. `make test` runs a short form, unoptimised: here
# the provider, which has its share of the same processor, is built as the command is.
set -eu
cd "$(dirname "$0")/../.."
LINES="${LINES:-20000}" exec "${CARGO:-cargo}" test --release -p trunkline-cli --test it speed:: -- --nocapture
