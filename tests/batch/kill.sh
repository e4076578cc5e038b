#!/usr/bin/env bash
# Kills batch runs at random moments (kill -9) and looks at what is left: no line lost, none recorded twice, none sent again
# that was recorded, every doubtful one listed. KILLS=1000 by default; `make test` runs 15.
set -eu
cd "$(dirname "$0")/../.."
KILLS="${KILLS:-1000}" exec "${CARGO:-cargo}" test -p trunkline-cli --test it kill:: -- --nocapture
