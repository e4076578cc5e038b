#!/bin/sh
# Instructions that the gateway executes per request, counted by valgrind's callgrind: a figure that a busy machine
# does not disturb, good for comparing two commits. Each case is counted at N and at 2N requests; the difference,
# divided by N, is free of start-up, warm-up and shutdown.
#
#   benches/gateway/callgrind.sh [N]            N defaults to 200
#   TRUNKLINE_BIN=/path/to/trunkline            the gateway to count (default: build target/release/trunkline)
#   CASES="same:1:m translate:16:m"             lane:kilobytes:model; a model such as m-s50-burst is asked for as a stream
#   STORE=/path/to/file.db                      with a ledger there (default: none is kept)
#   PROFILE=DIR                                 keep callgrind's files in DIR, for callgrind_annotate
set -eu
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}

n=${1:-200}
cases=${CASES:-"same:1:m translate:1:m same:16:m translate:16:m same:100:m translate:100:m same:1:m-s50-burst translate:1:m-s50-burst"}
command -v valgrind >/dev/null || { echo "valgrind is not installed: nothing was counted" >&2; exit 1; }

cargo build --release --quiet -p trunkline-testkit --bin bench-gateway
if [ -z "${TRUNKLINE_BIN:-}" ]; then
    TRUNKLINE_BIN=$target/release/trunkline
    cargo build --release --quiet -p trunkline-cli
fi
[ -x "$TRUNKLINE_BIN" ] || { echo "no gateway at $TRUNKLINE_BIN: nothing was counted" >&2; exit 1; }
bin=$(cd "$(dirname "$TRUNKLINE_BIN")" && pwd)/$(basename "$TRUNKLINE_BIN")
bench=$(cd "$target/release" && pwd)/bench-gateway

tmp=$(mktemp -d)
provider=
gateway=
finish() {
    [ -z "$gateway" ] || kill -KILL "$gateway" 2>/dev/null || true
    [ -z "$provider" ] || kill "$provider" 2>/dev/null || true
    rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM
keep=${PROFILE:-$tmp}
mkdir -p "$keep"
keep=$(cd "$keep" && pwd)

"$bench" provider --port 0 --seconds 3600 >"$tmp/provider" 2>/dev/null &
provider=$!
tries=0
until [ -s "$tmp/provider" ]; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { echo "the local provider did not start" >&2; exit 1; }
    sleep 0.05
done
upstream=$(cat "$tmp/provider")

# count LANE KILOBYTES MODEL REQUESTS FILE: starts the gateway under callgrind, sends, stops it, prints the total
count() {
    port=$("$bench" port)
    printf '[server]\nlisten = "127.0.0.1:%s"\n\n[providers.local]\nbase_url = "http://%s/v1"\ndialects = ["openai-chat"]\nauth     = { none = true }\n\n[store]\npath = "%s"\n' \
        "$port" "$upstream" "${STORE:-none}" >"$tmp/trunkline.toml"
    rm -f "$5"
    (cd "$tmp" && HOME=$tmp exec valgrind --quiet --tool=callgrind --callgrind-out-file="$5" "$bin" serve --config "$tmp/trunkline.toml") >"$tmp/log" 2>&1 &
    gateway=$!
    stream=
    case $3 in *-s[0-9]*) stream=--stream ;; esac
    tries=0
    until "$bench" load --to "127.0.0.1:$port" --requests 1 >/dev/null 2>"$tmp/load"; do
        tries=$((tries + 1))
        if [ $tries -ge 200 ] || ! kill -0 "$gateway" 2>/dev/null; then
            echo "the gateway did not answer under valgrind:" >&2
            tail -5 "$tmp/load" "$tmp/log" >&2
            return 1
        fi
        sleep 0.2
    done
    "$bench" load --to "127.0.0.1:$port" --lane "$1" --kilobytes "$2" --model "local/$3" $stream --requests "$4" >/dev/null 2>"$tmp/load" ||
        { cat "$tmp/load" >&2; return 1; }
    kill -TERM "$gateway"
    wait "$gateway" || true
    gateway=
    [ -s "$5" ] || { echo "valgrind left no counts; is $bin a script?" >&2; return 1; }
    awk '/^(totals|summary):/ { total = $2 } END { if (total == "") exit 1; print total }' "$5"
}

printf '%-10s %5s %-14s %20s\n' lane KB model instructions/request
for case in $cases; do
    lane=${case%%:*}
    rest=${case#*:}
    size=${rest%%:*}
    model=${rest#*:}
    # Not in a command substitution: a subshell's processes would escape the trap above.
    count "$lane" "$size" "$model" "$n" "$keep/$lane-$size-$model.once" >"$tmp/once"
    count "$lane" "$size" "$model" $((2 * n)) "$keep/$lane-$size-$model.twice" >"$tmp/twice"
    printf '%-10s %5s %-14s %20s\n' "$lane" "$size" "$model" $((($(cat "$tmp/twice") - $(cat "$tmp/once")) / n))
done
