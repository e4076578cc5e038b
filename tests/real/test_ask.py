"""The command `trunkline ask` against a real model, without the gateway."""

import json
import subprocess
import time

from check import check

MODEL = "house/smollm2"
SHAPE = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 30}, "population": {"type": "integer"}},
    "required": ["city", "population"],
    "additionalProperties": False,
}


ASK = ["ask", "--model", MODEL, "--max-tokens", "60"]


def ask(gateway, *arguments, stdin=""):
    return gateway.run(*ASK, *arguments, stdin=stdin)[0]


@check("streamed: text appears while the model still writes")
def streamed(gateway):
    start = time.monotonic()
    with subprocess.Popen(
        gateway.command(*ASK, "Write three sentences about the sea."),
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
    answer, reason = gateway.run("ask", "--model", "gone/any", "hi", code=1)
    assert not answer and "gone" in reason, (answer, reason)
