#!/usr/bin/env bash
# Puts the gateway in front of a real model (llama.cpp's server, 135 million parameters, on the processor) and calls it
# with the command, with curl and with the official SDKs. Downloads about 165 MB once, into target/real.
# Usage: tests/real/run.sh [WORD...]     only the checks whose title holds every word
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -n "${TRUNKLINE_BIN:-}" ] || [ -x target/debug/trunkline ] || [ -x target/release/trunkline ] || cargo build --bin trunkline
bash tests/real/fetch.sh
python=$(bash tests/sdk/venv.sh)
exec "$python" tests/real/run.py "$@"
