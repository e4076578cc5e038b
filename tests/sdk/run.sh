#!/usr/bin/env bash
# Calls a running gateway with the official SDKs of OpenAI, Anthropic, Google, AWS, Cohere and Ollama.
# Usage: tests/sdk/run.sh [WORD...]     only the checks whose title holds every word
# TRUNKLINE_BIN names the binary (default: the newest in target/); TRUNKLINE_SDK=skip leaves these tests out.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "${TRUNKLINE_SDK:-}" = skip ]; then
    echo "sdk: skipped, because TRUNKLINE_SDK=skip"
    exit 0
fi
[ -n "${TRUNKLINE_BIN:-}" ] || [ -x target/debug/trunkline ] || [ -x target/release/trunkline ] || cargo build --bin trunkline

python=$(bash tests/sdk/venv.sh)
exec "$python" tests/sdk/run.py "$@"
