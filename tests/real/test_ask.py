"""The command `trunkline ask` against a real model, without the gateway."""

import json
import subprocess
import time

from check import check
from gateway import binary

MODEL = "house/smollm2"
SHAPE = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 30}, "population": {"type": "integer"}},
    "required": ["city", "population"],
    "additionalProperties": False,
}


def command(gateway, *arguments):
    return [binary(), "--config", str(gateway.config), "ask", "--model", MODEL, "--max-tokens", "60", *arguments]


def ask(gateway, *arguments, stdin=""):
    """What the command prints on stdout, after it ended well."""
    done = subprocess.run(
        command(gateway, *arguments),
        env=gateway.env,
        cwd=gateway.home.name,
        input=stdin,
        capture_output=True,
        check=False,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout


@check("streamed: text appears while the model still writes")
def streamed(gateway):
    start = time.monotonic()
    with subprocess.Popen(
        command(gateway, "Write three sentences about the sea."),
        env=gateway.env,
        cwd=gateway.home.name,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as process:
        first = process.stdout.read(1)
        after = time.monotonic() - start
        rest = process.stdout.read()
        whole = time.monotonic() - start
    assert process.returncode == 0 and first and len(rest) > 10
    assert after < whole * 0.7, f"the first byte came after {after:.2f} s of {whole:.2f} s"


@check("--no-stream")
def no_stream(gateway):
    assert ask(gateway, "--no-stream", "Say hello.").strip()


@check("--json prints one JSON value")
def as_json(gateway):
    reply = json.loads(ask(gateway, "--json", "Say hello."))
    assert isinstance(reply, dict) and "smollm2" in json.dumps(reply), reply


@check("--schema FILE")
def schema(gateway):
    path = gateway.config.with_name("shape.json")
    path.write_text(json.dumps(SHAPE))
    reply = json.loads(ask(gateway, "--schema", str(path), "Tell me about Paris, as JSON."))
    assert set(reply) == {"city", "population"} and isinstance(reply["population"], int), reply


@check("a pipe: the prompt from standard input, with and without an argument")
def pipe(gateway):
    assert ask(gateway, stdin="Say hello.\n").strip()
    assert ask(gateway, "Sum this up in five words.", stdin="The sea is wide and blue.\n").strip()


@check("a model that nobody serves: exit code 1, the reason on stderr")
def gone(gateway):
    line = [binary(), "--config", str(gateway.config), "ask", "--model", "gone/any", "hi"]
    done = subprocess.run(
        line, env=gateway.env, cwd=gateway.home.name, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True, timeout=50
    )
    assert done.returncode == 1 and not done.stdout and "gone" in done.stderr, done
