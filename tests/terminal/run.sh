#!/usr/bin/env bash
# Drives the command in a real terminal (tmux) against the simulator, at 60 and at 100 columns, with and without colour: what is
# typed, pasted and interrupted in `trunkline chat`, and whether what `compare`, `run`, `batch`, `stats`, `logs` print fits. Usage: tests/terminal/run.sh [-v]   -v: shows the screens
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v tmux >/dev/null; then
    echo "skipped: tmux is not installed, nothing is driven in a terminal"
    exit 0
fi
binary=${TRUNKLINE_BIN:-$PWD/${CARGO_TARGET_DIR:-target}/debug/trunkline}
[ -x "$binary" ] || "${CARGO:-cargo}" build -q -p trunkline-cli
case $binary in /*) ;; *) binary=$PWD/$binary ;; esac
verbose=${1:-}

home=$(mktemp -d)
socket=trunkline-$$
cleanup() {
    tmux -L "$socket" kill-server 2>/dev/null || true
    rm -rf "$home"
}
trap cleanup EXIT
passed=0

mux() { tmux -L "$socket" -f /dev/null "$@"; }
# Keeps the server alive between the sessions.
mux new-session -d -s keep 'sleep 3600'
screen() { mux capture-pane -p -t chat "$@"; }
type_() { mux send-keys -t chat -l -- "$1"; mux send-keys -t chat Enter; }
key() { mux send-keys -t chat "$@"; }

fail() {
    echo "FAIL $where: $1" >&2
    screen >&2 || true
    exit 1
}

# Waits until the screen shows a text, 15 seconds at most.
see() {
    for _ in $(seq 150); do
        if screen | grep -qF -- "$1"; then passed=$((passed + 1)); return; fi
        sleep 0.1
    done
    fail "never showed: $1"
}

# Waits for the empty prompt: all that was asked is answered.
ready() {
    for _ in $(seq 150); do
        if [ "$(screen | sed '/^ *$/d' | tail -n 1 | sed 's/ *$//')" = ">" ]; then passed=$((passed + 1)); return; fi
        sleep 0.1
    done
    fail "no prompt"
}

unseen() {
    if screen | grep -qF -- "$1"; then fail "shows: $1"; fi
    passed=$((passed + 1))
}

# open LINES COLUMNS [VARIABLE=VALUE...] -- ARGUMENT...: a command in a fresh terminal.
open() {
    local lines=$1 columns=$2 variables=() arguments=() word
    shift 2
    while [ "$1" != -- ]; do variables+=("$1"); shift; done
    shift
    for word in "$@"; do arguments+=("$(printf %q "$word")"); done
    mux kill-session -t chat 2>/dev/null || true
    mux new-session -d -s chat -x "$columns" -y "$lines" -c "$home" \
        "env -i PATH='$PATH' HOME='$home' TERM=screen-256color LANG=C.UTF-8 ${variables[*]:-} $binary ${arguments[*]}; echo left with \$?; sleep 60"
    where="$columns columns ${variables[*]:-} $1"
}

# start COLUMNS [VARIABLE=VALUE...] -- ARGUMENT...: chat.
start() {
    local before=()
    while [ "$1" != -- ]; do before+=("$1"); shift; done
    shift
    open 40 "${before[@]}" -- chat "$@"
    see "/help lists the commands"
    ready
}

# run COLUMNS [VARIABLE=VALUE...] -- ARGUMENT...: another command, to its end.
run() {
    open 200 "$@"
    see 'left with 0'
    shown
}

# No line is longer than the terminal: then the terminal has broken none.
fits() {
    [ "$(screen | sed '/^ *$/d' | wc -l)" = "$(screen -J | sed '/^ *$/d' | wc -l)" ] || fail "a line is longer than the terminal"
    passed=$((passed + 1))
}

shown() { if [ "$verbose" = -v ]; then echo "--- $where"; screen; fi; }

markdown='# Überschrift

Some **bold** text and `code` in a line that is longer than any terminal here has columns, 中文也要按照终端的宽度换行，而且标点不能放在行首。

| 模型 | tokens |
|---|---:|
| 通义千问 | 12 |
| gpt | 4500 |'

converse() {
    local columns=$1 colour=$2
    shift 2
    start "$columns" "$@" -- --faults 'target="sim/lorem", between_ms=150'

    # A line, one that goes on, and several between marks.
    type_ 'Hello 你好'
    ready
    [ "$(screen | grep -c '^Hello 你好')" = 1 ] || fail "the answer is not there once"
    type_ 'one\'
    type_ 'two'
    ready
    type_ '"""'
    type_ 'three'
    type_ 'four"""'
    ready
    type_ /tokens
    see '3 turns: '

    # What is pasted is one message, and its Markdown is shown, or left alone without colours.
    mux load-buffer - <<<"$markdown"
    mux paste-buffer -p -t chat
    sleep 0.3
    key Enter
    ready
    if [ "$colour" = yes ]; then
        see '通义千问 │     12'
        see 'gpt      │   4500'
        see 'Some bold text and code in a line'
        screen -e | grep -q $'\e' || fail "no colours"
    else
        unseen '│'
        see '| 通义千问 | 12 |'
        if screen -e | grep -q $'\e\['; then fail "colours in spite of NO_COLOR"; fi
    fi
    see '而且标点不能放'
    if screen | grep -q '^[，。]'; then
        [ "$colour" = no ] || fail "a line begins with punctuation"
    fi
    shown

    # Another model in the middle; Ctrl-C stops its answer and not the program, and what came is kept.
    type_ '/model sim/lorem'
    ready
    type_ 'Tell me more'
    sleep 1.5
    key C-c
    see 'stopped; what came is kept, /retry asks again'
    ready
    unseen 'left with'
    type_ '/model sim/echo'
    ready
    type_ /retry
    ready
    [ "$(screen | grep -c '^Tell me more')" -ge 1 ] || fail "not asked again"
    type_ /tokens
    see '5 turns: '
    type_ /undo
    see 'taken back: Tell me more (4 turns left)'
    type_ '/branch 另一个'
    see ', branched off '
    type_ /modl
    see 'did you mean /model?'
    type_ 'on the branch'
    ready
    type_ '/sessions'
    see '另一个'
    see '4 turns'
    shown

    # Ctrl-C at the prompt: what is typed goes away, and at an empty one the way out is told.
    mux send-keys -t chat -l 'never sent'
    key C-c
    ready
    key C-c
    see 'Ctrl-D or /quit leaves'
    ready
    key Up
    see '> /sessions'
    key C-c
    ready
    key C-d
    see 'left with 0'
}

converse 60 yes
converse 100 yes
converse 60 no NO_COLOR=1
converse 100 no NO_COLOR=1

# Somebody goes on, and sees where the conversation stands; what was typed before is remembered, by nobody but the user.
start 60 -- -c
see 'on the branch'
see '5 turns so far'
key Up
see '> /sessions'
shown
key C-c
ready
type_ /quit
see 'left with 0'
[ "$(stat -c %a "$home/.local/share/trunkline/chat_history")" = 600 ] || fail "others may read what was typed"

# With -v a line below each answer, and no commands of the model's reach the terminal.
start 60 -- -v --private
mux send-keys -t chat -l 'a'
mux send-keys -t chat C-v Escape
mux send-keys -t chat -l '[2Jb'
key Enter
see 'a�[2Jb'
see 'sim/echo  1 + 1 tokens'
shown
key C-d
see 'left with 0'

# The other commands, with a name and prompts in Chinese.
cat >"$home/trunkline.toml" <<'END'
[models."通义千问"]
targets = ["sim/lorem"]
[tasks]
default = "sim/echo"
[prices."sim/*"]
input = "2.50"
output = "10"
END
for number in $(seq 30); do echo "{\"prompt\":\"第${number}行 hello\"}"; done >"$home/in.jsonl"
page=$PWD/examples/workflows/product-page.toml
for columns in 60 100; do
    for colour in A=1 NO_COLOR=1; do
        run $columns $colour -- compare -m sim/echo -m 通义千问 --faults 'between_ms=10' '写一首短诗 about tea and 山水'
        see '│ 通义千问'
        fits
        rm -f "$home"/out.jsonl*
        run $columns $colour -- batch in.jsonl -o out.jsonl -m 通义千问 --max-tokens 5 --faults 'delay_ms=20'
        see '30 of 30 answered, 0 failed'
        fits
        run $columns $colour -- run "$page" --var description=一把用来泡绿茶的水壶 --faults 'delay_ms=300'
        see '✓ features  0.'
        if [ $colour = A=1 ]; then
            see '• lorem: lorem'
            fits
        else
            see '- **lorem**: lorem'
        fi
        run $columns $colour -- stats --by model
        see 通义千问
        fits
        run $columns $colour -- logs -n 5
        see sim/
        fits
        run $columns $colour -- sessions
        see 另一个
        fits
        run $columns $colour -- providers
        fits
        if [ $colour = NO_COLOR=1 ] && screen -e | grep -q $'\e\['; then fail "colours in spite of NO_COLOR"; fi
    done
done

echo "$passed passed"
