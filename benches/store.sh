#!/usr/bin/env bash
# The ledger's figures: a million rows (time to write one, bytes of one, `stats` under a second, `logs --id` under 50 ms),
# and a store that is gone, and a disk that is full, for as long as OUTAGE says (60 seconds), with callers of a gateway and
# without. Ends with 1 when one of them does not hold.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
$cargo test --release -p trunkline-store --test it million -- --ignored --nocapture
TRUNKLINE_TEST_OUTAGE_SECONDS=${OUTAGE:-60} $cargo test --release -p trunkline-store --test it ledger::
TRUNKLINE_TEST_OUTAGE_SECONDS=${OUTAGE:-60} $cargo test --release -p trunkline-gateway --test it outage::
