"""The official Ollama SDK against the gateway."""

import asyncio
import json

import ollama
from check import check
from sample import FLAT, PNG, WEATHER, Place, is_flat, is_weather, refused

ECHO, LOREM = "sim/echo", "sim/lorem"
# Reached by translation.
OTHER = "other/echo"
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": WEATHER}}
# The simulator calls a tool whose name stands in the question; the dialect cannot demand a call.
ASK = "Use get_weather, please."


def client(gateway, kind=ollama.Client, key=None):
    return kind(host=gateway.url, headers={"Authorization": f"Bearer {key or gateway.key}"}, timeout=30)


def user(text):
    return [{"role": "user", "content": text}]


def ask(gateway, messages, model=ECHO, **rest):
    return client(gateway).chat(model=model, messages=messages, **rest)


@check("list models")
def models(gateway):
    rows = client(gateway).list().models
    assert {ECHO, LOREM} <= {row.model for row in rows}, rows
    assert all(row.modified_at and row.details for row in rows), rows


@check("show a model, also one by its plain tag")
def show(gateway):
    for name in (ECHO, f"{ECHO}:latest"):
        shown = client(gateway).show(name)
        assert "completion" in shown.capabilities and "tools" in shown.capabilities, shown
        assert shown.modelinfo["general.basename"] == ECHO, shown


@check("what runs, the version and the greeting")
def small(gateway):
    assert list(client(gateway).ps().models) == []
    status, body = gateway.get("/api/version")
    assert status == 200 and "version" in body, body
    assert gateway.get("/") == (200, "Ollama is running")


@check("chat")
def chat(gateway):
    reply = ask(gateway, [{"role": "system", "content": "Be brief."}, *user("Hello, Zürich 🚀")], keep_alive="5m")
    assert "Hello, Zürich 🚀" in reply.message.content and reply["message"]["role"] == "assistant"
    assert reply.done and reply.done_reason == "stop" and reply.model and reply.created_at, reply
    for name in ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"):
        assert reply[name] >= 0, (name, reply)


@check("usage and the limit of tokens")
def usage(gateway):
    reply = ask(gateway, user("Count me."), model=LOREM, options={"num_predict": 20, "num_ctx": 2048, "temperature": 0})
    assert reply.prompt_eval_count > 0 and reply.eval_count == 20 and reply.done_reason == "length", reply


@check("stream")
def stream(gateway):
    chunks = list(ask(gateway, user("one two three"), stream=True))
    assert "one two three" in "".join(chunk.message.content for chunk in chunks) and len(chunks) > 3, chunks
    assert [chunk.done for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].done_reason == "stop" and chunks[-1].eval_count > 0, chunks[-1]


@check("streamed and unstreamed say the same")
def same(gateway):
    chunks = ask(gateway, user("the same words"), stream=True)
    assert "".join(chunk.message.content for chunk in chunks) == ask(gateway, user("the same words")).message.content


@check("generate, whole and streamed")
def generate(gateway):
    calls = client(gateway)
    reply = calls.generate(model=ECHO, prompt="Go on.", system="Be brief.", options={"seed": 1})
    assert "Go on." in reply.response and reply.done_reason == "stop" and reply.eval_count > 0, reply
    chunks = list(calls.generate(model=ECHO, prompt="Go on.", stream=True))
    assert "".join(chunk.response for chunk in chunks) == reply.response and chunks[-1].done, chunks
    raw = calls.generate(model=ECHO, prompt="def add(", suffix="return c", raw=True)
    assert "def add(" in raw.response, raw


@check("translated, whole and streamed")
def translated(gateway):
    reply = ask(gateway, user("the same words"), model=OTHER, options={"temperature": 0.5, "stop": ["END"]})
    assert "the same words" in reply.message.content and reply.done_reason == "stop" and reply.eval_count > 0, reply
    chunks = list(ask(gateway, user("the same words"), model=OTHER, stream=True))
    assert "".join(chunk.message.content for chunk in chunks) == reply.message.content and chunks[-1].done, chunks
    assert chunks[-1].prompt_eval_count > 0 and chunks[-1].eval_duration == 0, chunks[-1]
    generated = client(gateway).generate(model=OTHER, prompt="the same words", stream=True)
    assert "the same words" in "".join(chunk.response for chunk in generated)
    called = ask(gateway, user(ASK), model=OTHER, tools=[TOOL]).message
    assert is_weather(called.tool_calls[0].function.arguments), called
    pieces = [c for chunk in ask(gateway, user(ASK), model=OTHER, tools=[TOOL], stream=True) for c in chunk.message.tool_calls or []]
    assert [is_weather(piece.function.arguments) for piece in pieces] == [True], pieces
    turns = [*user(ASK), called, {"role": "tool", "tool_name": "get_weather", "content": "sunny"}]
    assert ask(gateway, turns, model=OTHER, tools=[TOOL]).message.content
    assert is_flat(json.loads(ask(gateway, user("Paris"), model=OTHER, format=FLAT).message.content))


@check("async, chat and stream")
async def asynchronous(gateway):
    calls = client(gateway, ollama.AsyncClient)
    whole, parts = await asyncio.gather(
        calls.chat(model=ECHO, messages=user("soon")), calls.chat(model=ECHO, messages=user("later"), stream=True)
    )
    assert "soon" in whole.message.content
    assert "later" in "".join([part.message.content async for part in parts])


@check("tool called, result sent back")
def tools(gateway):
    first = ask(gateway, user(ASK), tools=[TOOL])
    call = first.message.tool_calls[0].function
    assert call.name == "get_weather" and is_weather(call.arguments), first
    turns = [*user(ASK), first.message, {"role": "tool", "tool_name": call.name, "content": "sunny"}]
    last = ask(gateway, turns, tools=[TOOL])
    assert last.message.content and not last.message.tool_calls, last


@check("tool streamed, from a Python function")
def tool_streamed(gateway):
    def get_weather(city: str, days: int) -> str:
        """The weather.

        Args:
          city: Where.
          days: How many.
        """
        return f"{city} {days}"

    chunks = list(ask(gateway, user(ASK), tools=[get_weather], stream=True))
    calls = [call.function for chunk in chunks for call in chunk.message.tool_calls or []]
    assert [call.name for call in calls] == ["get_weather"] and set(calls[0].arguments) == {"city", "days"}, chunks
    assert chunks[-1].done_reason == "stop"


@check("JSON, by a schema and without")
def structured(gateway):
    assert Place.model_validate_json(ask(gateway, user("Paris"), format=Place.model_json_schema()).message.content)
    assert is_flat(json.loads(client(gateway).generate(model=ECHO, prompt="Paris", format=FLAT).response))
    assert json.loads(ask(gateway, user("Paris"), format="json").message.content)


@check("image input")
def image(gateway):
    turns = [{"role": "user", "content": "What is this?", "images": [PNG]}]
    assert "What is this?" in ask(gateway, turns).message.content
    assert "And this?" in client(gateway).generate(model=ECHO, prompt="And this?", images=[PNG]).response


@check("thinking asked for")
def thinking(gateway):
    for think in (True, False, "high"):
        assert "2" in ask(gateway, user("1+1=2"), think=think).message.content


@check("wrong key")
def wrong_key(gateway):
    calls = client(gateway, key="tk-not-this-one")
    for call in (
        lambda: calls.chat(model=ECHO, messages=user("x")),
        lambda: list(calls.chat(model=ECHO, messages=user("x"), stream=True)),
        calls.list,
        lambda: calls.show(ECHO),
    ):
        error = refused(ollama.ResponseError, call)
        assert error.status_code == 401 and "key" in error.error and "not-this-one" not in error.error, error


@check("unknown model, and the nearest is named")
def unknown_model(gateway):
    for call in (
        lambda: ask(gateway, user("x"), model="sim/eccho"),
        lambda: list(ask(gateway, user("x"), model="sim/eccho", stream=True)),
    ):
        error = refused(ollama.ResponseError, call)
        assert error.status_code == 404 and "echo" in error.error, error
    assert refused(ollama.ResponseError, lambda: client(gateway).show("nobody/at-all")).status_code == 404


@check("bad requests name the field")
def bad(gateway):
    for field, call in {
        "options.temperature": lambda: ask(gateway, user("x"), options={"temperature": "hot"}),
        "messages": lambda: ask(gateway, []),
        "prompt": lambda: client(gateway).generate(model=ECHO),
    }.items():
        error = refused(ollama.ResponseError, call)
        assert error.status_code == 400 and field in error.error, (field, error)


@check("what is only the server's own is not found")
def not_here(gateway):
    for call in (lambda: client(gateway).pull("x"), lambda: client(gateway).delete("x")):
        assert refused(ollama.ResponseError, call).status_code == 404
