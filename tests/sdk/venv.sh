#!/usr/bin/env bash
# Makes target/NAME-venv with the pinned packages of tests/NAME, once for each state of its lists, and prints its python.
# Usage: tests/sdk/venv.sh [NAME]     sdk, unless told otherwise
# requirements.txt lists the packages; alone.txt, where there is one, those whose own requirements are not needed.
set -euo pipefail
cd "$(dirname "$0")/../.."
name=${1:-sdk}
venv=target/$name-venv
lists=$(cat "tests/$name/requirements.txt" "tests/$name/alone.txt" 2>/dev/null || true)
if [ "$lists" != "$(cat "$venv/installed.txt" 2>/dev/null)" ]; then
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --retries 2 "$@" 2>>"$venv/pip.log"; }
    : >"$venv/pip.log"
    if ! install -r "tests/$name/requirements.txt" ||
        { [ -e "tests/$name/alone.txt" ] && ! install --no-deps -r "tests/$name/alone.txt"; }; then
        echo "$name: pip could not install the SDKs (see $venv/pip.log; is PyPI reachable?); TRUNKLINE_SDK=skip leaves these tests out" >&2
        exit 1
    fi
    printf '%s\n' "$lists" >"$venv/installed.txt"
fi
echo "$PWD/$venv/bin/python"
