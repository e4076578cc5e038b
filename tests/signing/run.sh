#!/usr/bin/env bash
# Signs random requests with the vendors' own SDKs, with the clock standing still, and lets the client sign the same ones:
# both must come to the same bytes.
# Usage: tests/signing/run.sh            200 requests a scheme; TRUNKLINE_SEED repeats an earlier run
#        tests/signing/run.sh fixtures   writes fixtures/signing again: a few of each, for runs without Python
# TRUNKLINE_SDK=skip leaves this out.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "${TRUNKLINE_SDK:-}" = skip ]; then
    echo "signing: skipped, because TRUNKLINE_SDK=skip"
    exit 0
fi
python=$(bash tests/sdk/venv.sh signing)
if [ "${1:-}" = fixtures ]; then
    exec "$python" tests/signing/generate.py --seed 1 --count 12 --out fixtures/signing
fi
seed=${TRUNKLINE_SEED:-$RANDOM}
echo "signing: seed $seed"
"$python" tests/signing/generate.py --seed "$seed" --count 200 --out target/signing
TRUNKLINE_SIGNED="$PWD/target/signing" "${CARGO:-cargo}" test -p trunkline --test it -- --nocapture what_the_vendors_sdks
