"""The official Google GenAI SDK against the gateway."""

import asyncio
import json

import pydantic
from check import check
from google import genai
from google.genai import errors, types
from sample import FLAT, PNG, WEATHER, Place, is_flat, is_weather, refused

ECHO, LOREM = "sim/echo", "sim/lorem"
NO_CALLS = types.AutomaticFunctionCallingConfig(disable=True)
TOOL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(name="get_weather", description="The weather.", parameters_json_schema=WEATHER),
        types.FunctionDeclaration(name="get_time", description="The time."),
    ]
)


class Town(pydantic.BaseModel):
    """Plain enough for responseSchema, which knows less than JSON Schema."""

    name: str
    population: int


def client(gateway, key=None, **options):
    return genai.Client(
        api_key=key or gateway.key, http_options=types.HttpOptions(base_url=gateway.url, timeout=30_000, **options)
    )


def ask(gateway, contents, model=ECHO, **config):
    with client(gateway) as calls:
        return calls.models.generate_content(model=model, contents=contents, config=config or None)


def forced(*names):
    calling = types.FunctionCallingConfig(mode="ANY", allowed_function_names=list(names) or None)
    return {
        "tools": [TOOL],
        "tool_config": types.ToolConfig(function_calling_config=calling),
        "automatic_function_calling": NO_CALLS,
    }


def stream(gateway, contents, model=ECHO, **config):
    with client(gateway) as calls:
        return list(calls.models.generate_content_stream(model=model, contents=contents, config=config or None))


@check("list models, v1 and v1beta")
def models(gateway):
    for version in ("v1", "v1beta"):
        with client(gateway, api_version=version) as calls:
            found = list(calls.models.list())
        assert {f"models/{ECHO}", f"models/{LOREM}"} <= {model.name for model in found}, (version, found)
        assert all("generateContent" in model.supported_actions for model in found), found


@check("retrieve one model")
def model(gateway):
    with client(gateway) as calls:
        assert calls.models.get(model=ECHO).name == f"models/{ECHO}"


@check("generate content, v1 and v1beta")
def generate(gateway):
    for version in ("v1", "v1beta"):
        with client(gateway, api_version=version) as calls:
            reply = calls.models.generate_content(
                model=ECHO,
                contents="Hello, Zürich 🚀",
                config={"system_instruction": "Be brief.", "temperature": 0.5, "top_k": 3},
            )
        assert "Hello, Zürich 🚀" in reply.text
        assert reply.candidates[0].finish_reason == types.FinishReason.STOP and reply.candidates[0].content.role == "model"
        assert reply.response_id and reply.model_version


@check("usage and the limit of tokens")
def usage(gateway):
    use = ask(gateway, "Count me.", model=LOREM, max_output_tokens=20).usage_metadata
    assert use.prompt_token_count > 0 and use.candidates_token_count == 20, use
    assert use.total_token_count == use.prompt_token_count + use.candidates_token_count


@check("count tokens")
def count(gateway):
    with client(gateway) as calls:
        short, long = (calls.models.count_tokens(model=ECHO, contents=text).total_tokens for text in ("hi", "hi " * 200))
    assert 0 < short < long, (short, long)


@check("stream")
def streamed(gateway):
    chunks = stream(gateway, "one two three")
    assert "one two three" in "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata.total_token_count > 0
    assert len({chunk.response_id for chunk in chunks}) == 1


@check("streamed and unstreamed say the same")
def same(gateway):
    assert "".join(chunk.text or "" for chunk in stream(gateway, "the same words")) == ask(gateway, "the same words").text


@check("chat of two turns")
def chat(gateway):
    with client(gateway) as calls:
        talk = calls.chats.create(model=ECHO)
        assert "first" in talk.send_message("first").text and "second" in talk.send_message("second").text
        assert len(talk.get_history()) == 4


@check("tools declared, none forced")
def tools_none(gateway):
    calling = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="NONE"))
    reply = ask(gateway, "plain words", tools=[TOOL], tool_config=calling, automatic_function_calling=NO_CALLS)
    assert "plain words" in reply.text and not reply.function_calls


@check("tool required")
def tool_required(gateway):
    reply = ask(gateway, "Weather?", **forced())
    assert reply.function_calls and reply.candidates[0].finish_reason == types.FinishReason.STOP, reply


@check("tool forced by name, result sent back")
def tool_result(gateway):
    first = ask(gateway, "Weather?", **forced("get_weather"))
    call = first.function_calls[0]
    assert [call.name for call in first.function_calls] == ["get_weather"] and is_weather(call.args), call
    answer = types.Part.from_function_response(name=call.name, response={"result": "sunny"})
    answer.function_response.id = call.id
    turns = [
        types.Content(role="user", parts=[types.Part(text="Weather?")]),
        first.candidates[0].content,
        types.Content(role="user", parts=[answer]),
    ]
    last = ask(gateway, turns, tools=[TOOL], automatic_function_calling=NO_CALLS)
    assert last.text and not last.function_calls, last


@check("tool streamed")
def tool_streamed(gateway):
    calls = [call for chunk in stream(gateway, "Weather?", **forced("get_weather")) for call in chunk.function_calls or []]
    assert [call.name for call in calls] == ["get_weather"] and is_weather(calls[0].args), calls


@check("JSON schema")
def schema(gateway):
    reply = ask(gateway, "Paris", response_mime_type="application/json", response_json_schema=FLAT)
    assert is_flat(json.loads(reply.text))


@check("typed parse, from responseJsonSchema and from responseSchema")
def parse(gateway):
    reply = ask(gateway, "Paris", response_mime_type="application/json", response_json_schema=Place.model_json_schema())
    assert Place.model_validate_json(reply.text)
    assert isinstance(ask(gateway, "Paris", response_mime_type="application/json", response_schema=Town).parsed, Town)


@check("typed parse, streamed")
def parse_streamed(gateway):
    chunks = stream(gateway, "Paris", response_mime_type="application/json", response_json_schema=Place.model_json_schema())
    assert Place.model_validate_json("".join(chunk.text or "" for chunk in chunks))


@check("image input")
def image(gateway):
    assert "What is this?" in ask(gateway, [types.Part.from_bytes(data=PNG, mime_type="image/png"), "What is this?"]).text


@check("two candidates or a reported loss")
def two(gateway):
    reply = ask(gateway, "twice", candidate_count=2)
    lost = reply.sdk_http_response.headers.get("x-trunkline-lost")
    assert len(reply.candidates) == 2 or (len(reply.candidates) == 1 and lost), (reply, lost)


@check("request id and target in the headers")
def headers(gateway):
    found = {name.lower(): value for name, value in ask(gateway, "id").sdk_http_response.headers.items()}
    assert found["x-trunkline-request-id"] and found["x-trunkline-attempts"] == "1", found
    assert found["x-trunkline-target"] == ECHO, found


@check("wrong key")
def wrong_key(gateway):
    with client(gateway, key="tk-not-this-one") as calls:
        error = refused(errors.ClientError, lambda: calls.models.generate_content(model=ECHO, contents="x"))
        assert error.code == 401 and error.status == "UNAUTHENTICATED" and "not-this-one" not in error.message, error
        assert refused(errors.ClientError, lambda: list(calls.models.list())).code == 401


@check("key in the query")
def key_in_query(gateway):
    assert gateway.get(f"/v1beta/models?key={gateway.key}")[0] == 200
    assert gateway.get("/v1beta/models?key=tk-not-this-one")[0] == 401


@check("unknown model, with the nearest name, whole and streamed")
def unknown_model(gateway):
    for call in (ask, stream):
        error = refused(errors.ClientError, lambda call=call: call(gateway, "x", model="smi/echo"))
        assert error.code == 404 and error.status == "NOT_FOUND" and "sim/echo" in error.message, error


@check("bad request")
def bad_request(gateway):
    with client(gateway, extra_body={"contents": "not a list"}) as calls:
        error = refused(errors.ClientError, lambda: calls.models.generate_content(model=ECHO, contents="x"))
    assert error.code == 400 and error.status == "INVALID_ARGUMENT" and "contents" in error.message, error


@check("async: twenty at once, half of them streamed")
async def many(gateway):
    async with client(gateway).aio as calls:

        async def whole_one(i):
            return (await calls.models.generate_content(model=ECHO, contents=f"call {i}")).text

        async def streamed_one(i):
            chunks = await calls.models.generate_content_stream(model=ECHO, contents=f"call {i}")
            return "".join([chunk.text or "" async for chunk in chunks])

        texts = await asyncio.gather(*[(streamed_one if i % 2 else whole_one)(i) for i in range(20)])
        assert all(f"call {i}" in text for i, text in enumerate(texts)), texts


@check("a caller who hangs up")
def hang_up(gateway):
    with client(gateway) as calls:
        chunks = calls.models.generate_content_stream(model=LOREM, contents="x", config={"max_output_tokens": 5000})
        next(chunks)
        chunks.close()
    assert ask(gateway, "still there?").text
