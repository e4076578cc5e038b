#!/usr/bin/env bash
# Makes target/sdk-venv with the pinned SDKs, once for each state of requirements.txt, and prints its python.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=target/sdk-venv
if ! cmp -s tests/sdk/requirements.txt "$venv/installed.txt"; then
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --retries 2 \
        -r tests/sdk/requirements.txt 2>"$venv/pip.log"; then
        echo "sdk: pip could not install the SDKs (see $venv/pip.log; is PyPI reachable?); TRUNKLINE_SDK=skip leaves these tests out" >&2
        exit 1
    fi
    cp tests/sdk/requirements.txt "$venv/installed.txt"
fi
echo "$PWD/$venv/bin/python"
