"""The official Cohere SDK (ClientV2) against the gateway."""

import asyncio
import json

import cohere
from check import check
from cohere.errors import BadRequestError, NotFoundError, UnauthorizedError
from sample import FLAT, PNG_BASE64, WEATHER, Place, is_flat, is_weather, refused

ECHO, LOREM = "sim/echo", "sim/lorem"
# Reached by translation.
OTHER = "other/echo"
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": WEATHER}}


def client(gateway, kind=cohere.ClientV2, key=None):
    return kind(api_key=key or gateway.key, base_url=gateway.url, client_name="checks", timeout=30)


def user(text):
    return [{"role": "user", "content": text}]


def ask(gateway, messages, model=ECHO, **rest):
    return client(gateway).chat(model=model, messages=messages, **rest)


def stream(gateway, messages, model=ECHO, **rest):
    return list(client(gateway).chat_stream(model=model, messages=messages, **rest))


def told(events):
    """The text of a stream."""
    return "".join(event.delta.message.content.text or "" for event in events if event.type == "content-delta")


@check("list models")
def models(gateway):
    found = client(gateway).models.list().models
    assert {ECHO, LOREM} <= {model.name for model in found} and all("chat" in model.endpoints for model in found), found
    assert client(gateway).models.get(ECHO).name == ECHO


@check("chat")
def chat(gateway):
    reply = ask(gateway, [{"role": "system", "content": "Be brief."}, *user("Hello, Zürich 🚀")], k=3, p=0.9, safety_mode="STRICT")
    assert "Hello, Zürich 🚀" in reply.message.content[0].text and reply.message.role == "assistant"
    assert reply.finish_reason == "COMPLETE" and reply.id, reply


@check("usage and the limit of tokens")
def usage(gateway):
    reply = ask(gateway, user("Count me."), model=LOREM, max_tokens=20)
    assert reply.finish_reason == "MAX_TOKENS" and reply.usage.tokens.output_tokens == 20, reply
    assert reply.usage.tokens.input_tokens > 0 and reply.usage.billed_units.output_tokens == 20, reply


@check("stream")
def streamed(gateway):
    events = stream(gateway, user("one two three"))
    assert "one two three" in told(events)
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message-start", "content-start"] and kinds[-2:] == ["content-end", "message-end"], kinds
    assert events[0].id and events[0].delta.message.role == "assistant"
    assert events[-1].delta.finish_reason == "COMPLETE" and events[-1].delta.usage.tokens.output_tokens > 0, events[-1]


@check("streamed and unstreamed say the same")
def same(gateway):
    assert told(stream(gateway, user("the same words"))) == ask(gateway, user("the same words")).message.content[0].text


@check("translated, whole and streamed")
def translated(gateway):
    reply = ask(gateway, user("the same words"), model=OTHER, temperature=0.5, stop_sequences=["END"])
    assert "the same words" in reply.message.content[0].text and reply.finish_reason == "COMPLETE", reply
    events = stream(gateway, user("the same words"), model=OTHER)
    assert told(events) == reply.message.content[0].text and events[-1].delta.usage.tokens.input_tokens > 0, events
    called = ask(gateway, user("Weather?"), model=OTHER, tools=[TOOL], tool_choice="REQUIRED")
    call = called.message.tool_calls[0]
    assert called.finish_reason == "TOOL_CALL" and is_weather(json.loads(call.function.arguments)), called
    events = stream(gateway, user("Weather?"), model=OTHER, tools=[TOOL], tool_choice="REQUIRED")
    pieces = [event.delta.message.tool_calls.function.arguments for event in events if event.type == "tool-call-delta"]
    assert is_weather(json.loads("".join(pieces))), events
    turns = [*user("Weather?"), called.message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    assert ask(gateway, turns, model=OTHER, tools=[TOOL]).message.content[0].text
    form = {"type": "json_object", "json_schema": FLAT}
    assert is_flat(json.loads(ask(gateway, user("Paris"), model=OTHER, response_format=form).message.content[0].text))


@check("async, chat and stream")
async def asynchronous(gateway):
    calls = client(gateway, cohere.AsyncClientV2)

    async def later():
        return [event async for event in calls.chat_stream(model=ECHO, messages=user("later"))]

    whole, events = await asyncio.gather(calls.chat(model=ECHO, messages=user("soon")), later())
    assert "soon" in whole.message.content[0].text and "later" in told(events)


@check("tools declared, none forced")
def tools_none(gateway):
    reply = ask(gateway, user("get_weather? No."), tools=[TOOL], tool_choice="NONE")
    assert reply.message.content[0].text and not reply.message.tool_calls, reply


@check("tool required, result sent back")
def tool_result(gateway):
    first = ask(gateway, user("Weather?"), tools=[TOOL], tool_choice="REQUIRED", strict_tools=True)
    call = first.message.tool_calls[0]
    assert first.finish_reason == "TOOL_CALL" and call.id and call.function.name == "get_weather", first
    assert is_weather(json.loads(call.function.arguments)), call
    document = {"type": "document", "document": {"data": {"weather": "sunny"}}}
    turns = [*user("Weather?"), first.message, {"role": "tool", "tool_call_id": call.id, "content": [document]}]
    last = ask(gateway, turns, tools=[TOOL])
    assert last.message.content and not last.message.tool_calls, last


@check("tool streamed")
def tool_streamed(gateway):
    events = stream(gateway, user("Weather?"), tools=[TOOL], tool_choice="REQUIRED")
    starts = [event.delta.message.tool_calls for event in events if event.type == "tool-call-start"]
    assert [call.function.name for call in starts] == ["get_weather"] and starts[0].id, events
    pieces = [event.delta.message.tool_calls.function.arguments for event in events if event.type == "tool-call-delta"]
    assert is_weather(json.loads("".join(pieces))), pieces
    assert "tool-call-end" in [event.type for event in events] and events[-1].delta.finish_reason == "TOOL_CALL"


@check("JSON, by a schema and without")
def structured(gateway):
    def text(**form):
        return ask(gateway, user("Paris"), response_format={"type": "json_object", **form}).message.content[0].text

    assert is_flat(json.loads(text(json_schema=FLAT)))
    assert Place.model_validate_json(text(json_schema=Place.model_json_schema()))
    assert json.loads(text())


@check("documents, and pictures")
def documents(gateway):
    given = ["Plain text.", {"id": "d1", "data": {"title": "Penguins", "snippet": "They swim."}}]
    reply = ask(gateway, user("Do they swim?"), documents=given, citation_options={"mode": "FAST"})
    assert "Do they swim?" in reply.message.content[0].text
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_BASE64}"}}
    reply = ask(gateway, [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, picture]}])
    assert "What is this?" in reply.message.content[0].text


@check("thinking asked for")
def thinking(gateway):
    for thinking in ({"type": "enabled", "token_budget": 1024}, {"type": "disabled"}):
        assert "2" in ask(gateway, user("1+1=2"), thinking=thinking).message.content[0].text


@check("wrong key")
def wrong_key(gateway):
    calls = client(gateway, key="tk-not-this-one")
    for call in (
        lambda: calls.chat(model=ECHO, messages=user("x")),
        lambda: list(calls.chat_stream(model=ECHO, messages=user("x"))),
        calls.models.list,
    ):
        error = refused(UnauthorizedError, call)
        assert "key" in error.body["message"] and "not-this-one" not in str(error.body), error


@check("unknown model, and the nearest is named")
def unknown_model(gateway):
    error = refused(NotFoundError, lambda: ask(gateway, user("x"), model="sim/eccho"))
    assert "echo" in error.body["message"] and error.body["id"], error
    refused(NotFoundError, lambda: stream(gateway, user("x"), model="sim/eccho"))


@check("bad requests name the field")
def bad(gateway):
    error = refused(BadRequestError, lambda: ask(gateway, user("x"), temperature="hot"))
    assert "temperature" in error.body["message"], error
    error = refused(BadRequestError, lambda: ask(gateway, []))
    assert "messages" in error.body["message"], error


@check("request id and target in the headers")
def headers(gateway):
    reply = client(gateway).with_raw_response.chat(model=ECHO, messages=user("id"))
    found = {name.lower(): value for name, value in reply.headers.items()}
    assert found["x-trunkline-request-id"] and found["x-trunkline-target"] == ECHO, found
