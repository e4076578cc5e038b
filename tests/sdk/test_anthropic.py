"""The official Anthropic SDK against the gateway."""

import asyncio
import json

import anthropic
from check import check
from sample import FLAT, PNG_BASE64, WEATHER, Place, is_flat, is_weather, refused, whole

ECHO, LOREM = "sim/echo", "sim/lorem"
TOOL = {"name": "get_weather", "description": "The weather.", "input_schema": WEATHER}


def client(gateway, kind=anthropic.Anthropic, key=None):
    return kind(base_url=gateway.url, api_key=key or gateway.key, max_retries=0, timeout=30)


def user(content):
    return [{"role": "user", "content": content}]


def ask(gateway, messages, model=ECHO, max_tokens=100, **rest):
    return client(gateway).messages.create(model=model, messages=messages, max_tokens=max_tokens, **rest)


@check("list models")
def models(gateway):
    found = [whole(model) for model in client(gateway).models.list()]
    assert {ECHO, LOREM} <= {model.id for model in found}, found
    assert all(model.type == "model" and model.display_name and model.created_at for model in found)


@check("retrieve one model")
def model(gateway):
    assert whole(client(gateway).models.retrieve(ECHO)).id == ECHO


@check("message")
def message(gateway):
    reply = whole(ask(gateway, user("Hello, Zürich 🚀"), system="Be brief."))
    assert "Hello, Zürich 🚀" in reply.content[0].text and reply.content[0].type == "text"
    assert (reply.type, reply.role, reply.stop_reason) == ("message", "assistant", "end_turn") and reply.id and reply.model


@check("usage and the limit of tokens")
def usage(gateway):
    reply = ask(gateway, user("Count me."), model=LOREM, max_tokens=20)
    assert reply.usage.input_tokens > 0 and reply.usage.output_tokens == 20, reply.usage


@check("count tokens")
def count(gateway):
    calls = client(gateway).messages
    short, long = (calls.count_tokens(model=ECHO, messages=user(text)).input_tokens for text in ("hi", "hi " * 200))
    assert 0 < short < long, (short, long)


@check("stream, raw events in order")
def stream(gateway):
    events = [whole(event) for event in ask(gateway, user("one two three"), stream=True)]
    kinds = [event.type for event in events]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"], kinds
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 1
    assert "one two three" in "".join(event.delta.text for event in events if event.type == "content_block_delta")
    assert events[-2].delta.stop_reason == "end_turn" and events[-2].usage.output_tokens > 0
    assert events[0].message.content == [] and events[0].message.stop_reason is None


@check("stream helper")
def stream_helper(gateway):
    with client(gateway).messages.stream(model=ECHO, messages=user("helped"), max_tokens=50) as events:
        text = "".join(events.text_stream)
        final = whole(events.get_final_message())
    assert "helped" in text and final.content[0].text == text
    assert final.usage.input_tokens > 0 and final.usage.output_tokens > 0 and final.stop_reason == "end_turn"


@check("streamed and unstreamed say the same")
def same(gateway):
    with client(gateway).messages.stream(model=ECHO, messages=user("the same words"), max_tokens=50) as events:
        assert events.get_final_text() == ask(gateway, user("the same words"), max_tokens=50).content[0].text


@check("tools declared, none forced")
def tools_none(gateway):
    reply = ask(gateway, user("plain words"), tools=[TOOL], tool_choice={"type": "none"})
    assert [block.type for block in reply.content] == ["text"] and "plain words" in reply.content[0].text


@check("tool required")
def tool_required(gateway):
    reply = whole(ask(gateway, user("Weather?"), tools=[TOOL], tool_choice={"type": "any"}))
    call = next(block for block in reply.content if block.type == "tool_use")
    assert reply.stop_reason == "tool_use" and call.id and call.name == "get_weather" and is_weather(call.input), call


@check("tool forced by name, result sent back")
def tool_result(gateway):
    other = {"name": "get_time", "input_schema": {"type": "object", "properties": {}}}
    choice = {"type": "tool", "name": "get_weather"}
    first = ask(gateway, user("Weather?"), tools=[other, TOOL], tool_choice=choice)
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["get_weather"]
    answer = {"type": "tool_result", "tool_use_id": calls[0].id, "content": [{"type": "text", "text": "sunny"}]}
    turns = [*user("Weather?"), {"role": "assistant", "content": first.content}, *user([answer])]
    last = whole(ask(gateway, turns, tools=[other, TOOL]))
    assert last.stop_reason == "end_turn" and last.content[0].text, last


@check("tool streamed")
def tool_streamed(gateway):
    events = list(ask(gateway, user("Weather?"), tools=[TOOL], tool_choice={"type": "any"}, stream=True))
    parts = [
        event.delta.partial_json
        for event in events
        if event.type == "content_block_delta" and event.delta.type == "input_json_delta"
    ]
    assert is_weather(json.loads("".join(parts)))
    with client(gateway).messages.stream(
        model=ECHO, messages=user("Weather?"), max_tokens=50, tools=[TOOL], tool_choice={"type": "any"}
    ) as helped:
        final = helped.get_final_message()
    assert final.stop_reason == "tool_use" and is_weather(final.content[-1].input)


@check("JSON schema")
def schema(gateway):
    reply = ask(gateway, user("Paris"), output_config={"format": {"type": "json_schema", "schema": FLAT}})
    assert is_flat(json.loads(reply.content[0].text))


@check("typed parse")
def parse(gateway):
    reply = client(gateway).messages.parse(model=ECHO, messages=user("Paris"), max_tokens=500, output_format=Place)
    assert isinstance(reply.parsed_output, Place)


@check("typed parse, streamed")
def parse_streamed(gateway):
    with client(gateway).messages.stream(model=ECHO, messages=user("Paris"), max_tokens=500, output_format=Place) as events:
        assert isinstance(events.get_final_message().parsed_output, Place)


@check("image input")
def image(gateway):
    source = {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}
    reply = ask(gateway, user([{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]))
    assert "What is this?" in reply.content[0].text


@check("both versions of the API, the old one with temperature")
def versions(gateway):
    for version, body in (("2023-06-01", {"temperature": 0.5}), ("2026-10-21", {})):
        reply = ask(gateway, user("hi"), extra_headers={"anthropic-version": version}, extra_body=body)
        assert "hi" in whole(reply).content[0].text


@check("beta client and x-api-key, as agents send it")
def beta(gateway):
    calls = anthropic.Anthropic(
        base_url=gateway.url,
        api_key=gateway.key,
        max_retries=0,
        default_headers={"x-api-key": gateway.key, "Authorization": anthropic.Omit()},
    )
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    reply = calls.beta.messages.create(
        model=ECHO, messages=user("beta"), max_tokens=50, system=system, betas=["some-beta-2026-01-01"]
    )
    assert "beta" in reply.content[0].text


@check("a thread is refused with the words that SDKs fall back on")
def thread(gateway):
    error = refused(anthropic.BadRequestError, lambda: ask(gateway, user("x"), extra_body={"thread": {"type": "create"}}))
    assert error.error_code == "thread_unsupported_request", error.body


@check("tool runner: call, run, answer")
def tool_runner(gateway):
    asked = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "sunny"

    runner = client(gateway).beta.messages.tool_runner(
        model=ECHO,
        messages=user("Weather?"),
        max_tokens=100,
        tools=[get_weather],
        max_iterations=2,
        tool_choice={"type": "any"},
    )
    # The runner first asks for a thread: the server would keep the history, and the second request would carry neither
    # it nor the tools. It falls back to full requests only when told so: 400 with details.error_code.
    assert [reply.stop_reason for reply in runner] == ["tool_use", "tool_use"] and asked


@check("request id")
def request_id(gateway):
    raw = client(gateway).messages.with_raw_response.create(model=ECHO, messages=user("id"), max_tokens=10)
    reply = raw.parse()
    assert reply._request_id == raw.headers["x-trunkline-request-id"]
    assert raw.headers["x-trunkline-target"] == ECHO and raw.headers["x-trunkline-attempts"] == "1"


@check("wrong key")
def wrong_key(gateway):
    error = refused(anthropic.AuthenticationError, lambda: client(gateway, key="tk-not-this-one").models.list())
    assert error.type == "authentication_error" and error.request_id, error
    calls = client(gateway, key="tk-nor-this-one").messages
    refused(anthropic.AuthenticationError, lambda: calls.create(model=ECHO, messages=user("x"), max_tokens=5))


@check("unknown model, with the nearest name")
def unknown_model(gateway):
    error = refused(anthropic.NotFoundError, lambda: ask(gateway, user("x"), model="smi/echo"))
    assert "sim/echo" in error.message and error.type == "not_found_error", error
    assert error.body["type"] == "error" and error.body["request_id"] == error.request_id, error.body


@check("bad request")
def bad_request(gateway):
    error = refused(anthropic.BadRequestError, lambda: ask(gateway, "not a list"))
    assert error.type == "invalid_request_error" and "messages" in error.message, error


@check("async: twenty at once, half of them streamed")
async def many(gateway):
    async with client(gateway, anthropic.AsyncAnthropic) as calls:

        async def whole_one(i):
            reply = await calls.messages.create(model=ECHO, messages=user(f"call {i}"), max_tokens=50)
            return reply.content[0].text

        async def streamed_one(i):
            async with calls.messages.stream(model=ECHO, messages=user(f"call {i}"), max_tokens=50) as events:
                return await events.get_final_text()

        texts = await asyncio.gather(*[(streamed_one if i % 2 else whole_one)(i) for i in range(20)])
        assert all(f"call {i}" in text for i, text in enumerate(texts)), texts


@check("a caller who hangs up")
def hang_up(gateway):
    with client(gateway).messages.stream(model=LOREM, messages=user("x"), max_tokens=5000) as events:
        next(iter(events.text_stream))
    assert ask(gateway, user("still there?")).content[0].text
