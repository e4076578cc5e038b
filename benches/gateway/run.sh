#!/bin/sh
# Builds the gateway and its bench in release mode and runs the bench; arguments are passed on (--help lists them).
#   TRUNKLINE_BIN=/path/to/trunkline   measure that binary instead of building one
set -eu
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}

# Each open stream costs the bench two sockets; the usual soft limit of 1024 is too low for two thousand.
most=$(ulimit -Hn)
if [ "$most" = unlimited ] || [ "$most" -gt 16384 ]; then most=16384; fi
ulimit -n "$most" 2>/dev/null || true

cargo build --release --quiet -p trunkline-testkit --bin bench-gateway
if [ -z "${TRUNKLINE_BIN:-}" ]; then
    TRUNKLINE_BIN=$target/release/trunkline
    cargo build --release --quiet -p trunkline-cli
fi
exec "$target/release/bench-gateway" --gateway "$TRUNKLINE_BIN" "$@"
