"""The official OpenAI SDK against the gateway."""

import asyncio
import json

import openai
import pydantic
from check import check
from sample import FLAT, PNG_BASE64, WEATHER, Place, is_flat, is_weather, refused, whole

ECHO, LOREM = "sim/echo", "sim/lorem"
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": WEATHER}}


def client(gateway, kind=openai.OpenAI, key=None, retries=0):
    return kind(base_url=f"{gateway.url}/v1", api_key=key or gateway.key, max_retries=retries, timeout=30)


def user(text):
    return [{"role": "user", "content": text}]


def ask(gateway, messages, model=ECHO, **rest):
    return client(gateway).chat.completions.create(model=model, messages=messages, **rest)


@check("list models")
def models(gateway):
    names = [whole(model).id for model in client(gateway).models.list()]
    assert ECHO in names and LOREM in names, names


@check("retrieve one model")
def model(gateway):
    assert whole(client(gateway).models.retrieve(ECHO)).id == ECHO


@check("chat")
def chat(gateway):
    reply = whole(ask(gateway, [{"role": "system", "content": "Be brief."}, *user("Hello, Zürich 🚀")]))
    assert "Hello, Zürich 🚀" in reply.choices[0].message.content
    assert reply.object == "chat.completion" and reply.id and reply.created > 1_700_000_000 and reply.model
    assert reply.choices[0].finish_reason == "stop" and reply.choices[0].message.role == "assistant"


@check("usage")
def usage(gateway):
    use = ask(gateway, user("Count me."), model=LOREM, max_tokens=20).usage
    assert use.prompt_tokens > 0 and use.completion_tokens == 20, use
    assert use.total_tokens == use.prompt_tokens + use.completion_tokens


@check("stream, with usage")
def stream(gateway):
    chunks = list(ask(gateway, user("one two three"), stream=True, stream_options={"include_usage": True}))
    for chunk in chunks:
        whole(chunk)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert "one two three" in text
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert [bool(c.usage) for c in chunks].count(True) == 1 and not chunks[-1].choices and chunks[-1].usage.total_tokens > 0
    assert len({c.id for c in chunks}) == 1


@check("stream, without usage")
def stream_plain(gateway):
    chunks = list(ask(gateway, user("hi"), stream=True))
    assert chunks and all(c.choices for c in chunks) and all(c.usage is None for c in chunks)


@check("streamed and unstreamed say the same")
def same(gateway):
    plain = ask(gateway, user("the same words")).choices[0].message.content
    parts = ask(gateway, user("the same words"), stream=True)
    assert plain == "".join(c.choices[0].delta.content or "" for c in parts if c.choices)


@check("stream helper")
def stream_helper(gateway):
    with client(gateway).chat.completions.stream(model=ECHO, messages=user("helped")) as events:
        kinds = {event.type for event in events}
        assert {"chunk", "content.delta", "content.done"} <= kinds, kinds
        assert "helped" in events.get_final_completion().choices[0].message.content


@check("tools declared, none forced")
def tools_auto(gateway):
    reply = ask(gateway, user("plain words"), tools=[TOOL], tool_choice="none")
    assert "plain words" in reply.choices[0].message.content and not reply.choices[0].message.tool_calls


@check("tool required")
def tool_required(gateway):
    reply = whole(ask(gateway, user("Weather?"), tools=[TOOL], tool_choice="required"))
    call = reply.choices[0].message.tool_calls[0]
    assert reply.choices[0].finish_reason == "tool_calls" and call.type == "function" and call.id
    assert call.function.name == "get_weather" and is_weather(json.loads(call.function.arguments))


@check("tool forced by name, result sent back")
def tool_result(gateway):
    other = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
    choice = {"type": "function", "function": {"name": "get_weather"}}
    first = ask(gateway, user("Weather?"), tools=[other, TOOL], tool_choice=choice).choices[0].message
    assert [call.function.name for call in first.tool_calls] == ["get_weather"]
    answer = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "sunny"}
    last = whole(ask(gateway, [*user("Weather?"), first, answer], tools=[other, TOOL])).choices[0]
    assert last.finish_reason == "stop" and last.message.content, last


@check("tool streamed")
def tool_streamed(gateway):
    chunks = list(ask(gateway, user("Weather?"), tools=[TOOL], tool_choice="required", stream=True))
    deltas = [d for c in chunks if c.choices for d in c.choices[0].delta.tool_calls or []]
    assert deltas[0].id and deltas[0].function.name == "get_weather" and {d.index for d in deltas} == {0}
    assert is_weather(json.loads("".join(d.function.arguments or "" for d in deltas)))
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "tool_calls"


@check("tool streamed, stream helper with a typed tool")
def tool_typed(gateway):
    class get_weather(pydantic.BaseModel):
        city: str
        days: int

    tool = openai.pydantic_function_tool(get_weather)
    with client(gateway).chat.completions.stream(
        model=ECHO, messages=user("Weather?"), tools=[tool], tool_choice="required"
    ) as events:
        done = [event for event in events if event.type == "tool_calls.function.arguments.done"]
        assert isinstance(done[0].parsed_arguments, get_weather)
        assert isinstance(
            events.get_final_completion().choices[0].message.tool_calls[0].function.parsed_arguments, get_weather
        )


@check("JSON schema")
def schema(gateway):
    shape = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": FLAT}}
    reply = whole(ask(gateway, user("Paris"), response_format=shape))
    assert is_flat(json.loads(reply.choices[0].message.content))


@check("JSON object")
def json_object(gateway):
    reply = ask(gateway, user("Answer in JSON."), response_format={"type": "json_object"})
    assert isinstance(json.loads(reply.choices[0].message.content), dict)


@check("typed parse")
def parse(gateway):
    reply = client(gateway).chat.completions.parse(model=ECHO, messages=user("Paris"), response_format=Place)
    assert isinstance(reply.choices[0].message.parsed, Place)


@check("typed parse, streamed")
def parse_streamed(gateway):
    with client(gateway).chat.completions.stream(model=ECHO, messages=user("Paris"), response_format=Place) as events:
        assert isinstance(events.get_final_completion().choices[0].message.parsed, Place)


@check("image input")
def image(gateway):
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_BASE64}"}},
    ]
    assert "What is this?" in ask(gateway, user(parts)).choices[0].message.content


@check("n=2 gives two choices or a reported loss")
def two(gateway):
    raw = client(gateway).chat.completions.with_raw_response.create(model=ECHO, messages=user("twice"), n=2)
    choices, lost = raw.parse().choices, raw.headers.get("x-trunkline-lost")
    assert len(choices) == 2 or (len(choices) == 1 and lost), (choices, lost)


@check("a limit of tokens")
def limit(gateway):
    for name in ("max_tokens", "max_completion_tokens"):
        assert ask(gateway, user("more"), model=LOREM, **{name: 7}).usage.completion_tokens == 7


@check("completions, whole and streamed")
def completions(gateway):
    calls = client(gateway).completions
    reply = whole(calls.create(model=ECHO, prompt="Once upon a time"))
    assert "Once upon a time" in reply.choices[0].text and reply.object == "text_completion"
    parts = calls.create(model=ECHO, prompt="Once upon a time", stream=True)
    assert "Once upon a time" in "".join(part.choices[0].text for part in parts if part.choices)


@check("request id")
def request_id(gateway):
    raw = client(gateway).chat.completions.with_raw_response.create(model=ECHO, messages=user("id"))
    assert raw.parse()._request_id == raw.headers["x-trunkline-request-id"]
    assert raw.headers["x-trunkline-target"] == ECHO and raw.headers["x-trunkline-attempts"] == "1"


@check("wrong key")
def wrong_key(gateway):
    error = refused(openai.AuthenticationError, lambda: client(gateway, key="tk-not-this-one").models.list())
    assert error.code == "invalid_api_key" and "not-this-one" not in error.message, error
    refused(
        openai.AuthenticationError,
        lambda: client(gateway, key="tk-nor-this-one").chat.completions.create(model=ECHO, messages=user("x")),
    )


@check("unknown model, with the nearest name")
def unknown_model(gateway):
    assert "echo" in refused(openai.NotFoundError, lambda: ask(gateway, user("x"), model="sim/ecko")).message
    error = refused(openai.NotFoundError, lambda: ask(gateway, user("x"), model="smi/echo"))
    assert "sim/echo" in error.message and error.code == "model_not_found" and error.request_id, error


@check("unknown model, streamed")
def unknown_streamed(gateway):
    refused(openai.NotFoundError, lambda: ask(gateway, user("x"), model="sim/ecko", stream=True))


@check("bad request")
def bad_request(gateway):
    error = refused(openai.BadRequestError, lambda: ask(gateway, "not a list"))
    assert error.type == "invalid_request_error" and "messages" in error.message, error


@check("unknown path")
def unknown_path(gateway):
    refused(openai.NotFoundError, lambda: client(gateway).get("/no/such/path", cast_to=object))


@check("async: twenty at once, half of them streamed")
async def many(gateway):
    async with client(gateway, openai.AsyncOpenAI) as calls:

        async def whole_one(i):
            reply = await calls.chat.completions.create(model=ECHO, messages=user(f"call {i}"))
            return reply.choices[0].message.content

        async def streamed_one(i):
            parts = await calls.chat.completions.create(model=ECHO, messages=user(f"call {i}"), stream=True)
            return "".join([c.choices[0].delta.content or "" async for c in parts if c.choices])

        texts = await asyncio.gather(*[(streamed_one if i % 2 else whole_one)(i) for i in range(20)])
        assert all(f"call {i}" in text for i, text in enumerate(texts)), texts


@check("callers who hang up leave nothing behind")
async def hang_up(gateway):
    async def leave():
        async with client(gateway, openai.AsyncOpenAI) as calls:
            parts = await calls.chat.completions.create(model=LOREM, messages=user("x"), max_tokens=5000, stream=True)
            await anext(aiter(parts))
            await parts.close()

    before = gateway.open_files()
    await asyncio.gather(*[leave() for _ in range(20)])
    for _ in range(50):
        if gateway.open_files() <= before + 2:
            break
        await asyncio.sleep(0.1)
    assert gateway.open_files() <= before + 2, (before, gateway.open_files())
    assert ask(gateway, user("still there?")).choices[0].message.content
