"""The official OpenAI SDK's Responses API against the gateway; the models behind it speak other dialects."""

import asyncio
import http.server
import json
import threading

import openai
import pydantic
from check import check
from gateway import Gateway
from openai.types.responses import ResponseStreamEvent
from sample import FLAT, PNG_BASE64, WEATHER, Place, is_flat, is_weather, refused, whole

ECHO, LOREM = "sim/echo", "sim/lorem"
TOOL = {"type": "function", "name": "get_weather", "description": "The weather.", "parameters": WEATHER, "strict": True}
EVENT = pydantic.TypeAdapter(ResponseStreamEvent)


def client(gateway, kind=openai.OpenAI, key=None, retries=0):
    return kind(base_url=f"{gateway.url}/v1", api_key=key or gateway.key, max_retries=retries, timeout=30)


def ask(gateway, said, model=ECHO, **rest):
    return client(gateway).responses.create(model=model, input=said, **rest)


def streamed(gateway, said, **rest):
    """All events of a stream, each checked against its own type; their numbers count up and the last one ends it."""
    events = list(ask(gateway, said, stream=True, **rest))
    for number, event in enumerate(events):
        EVENT.validate_python(event.to_dict(mode="json"))
        assert event.sequence_number == number, event
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    return events


@check("whole")
def plain(gateway):
    reply = whole(ask(gateway, "Hello, Zürich 🚀", instructions="Be brief."))
    assert "Hello, Zürich 🚀" in reply.output_text and reply.status == "completed" and reply.object == "response"
    assert reply.id and reply.created_at > 1_700_000_000 and reply.model and reply.error is None
    assert reply.output[0].type == "message" and reply.output[0].role == "assistant" and reply.output[0].id
    use = reply.usage
    assert use.total_tokens == use.input_tokens + use.output_tokens and use.input_tokens_details.cached_tokens == 0


@check("a limit of tokens makes it incomplete")
def limit(gateway):
    reply = whole(ask(gateway, "more", model=LOREM, max_output_tokens=16))
    assert reply.status == "incomplete" and reply.incomplete_details.reason == "max_output_tokens"
    assert reply.usage.output_tokens == 16


@check("stream, every event by its type")
def stream(gateway):
    events = streamed(gateway, "one two three")
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert "one two three" in text
    last = events[-1]
    assert last.type == "response.completed" and whole(last.response).output_text == text and last.response.usage.total_tokens
    kinds = list(dict.fromkeys(event.type.removeprefix("response.") for event in events))
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ], kinds
    assert len({event.item_id for event in events if hasattr(event, "item_id")}) == 1


@check("streamed and unstreamed say the same")
def same(gateway):
    assert ask(gateway, "the same words").output_text == streamed(gateway, "the same words")[-1].response.output_text


@check("stream helper")
def stream_helper(gateway):
    with client(gateway).responses.stream(model=ECHO, input="helped") as events:
        kinds = [event.type for event in events]
        assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
        final = events.get_final_response()
    assert "helped" in final.output_text and final.output[0].content[0].text == final.output_text


@check("tools: required, result sent back with all that was given")
def tool_loop(gateway):
    first = whole(ask(gateway, "Weather?", tools=[TOOL], tool_choice="required"))
    call = first.output[-1]
    assert call.type == "function_call" and call.call_id and is_weather(json.loads(call.arguments))
    items = [{"role": "user", "content": "Weather?"}, *first.output]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    last = whole(ask(gateway, items, tools=[TOOL]))
    assert last.status == "completed" and last.output_text, last


@check("tools: one forced by name, one by a list of those allowed")
def tool_forced(gateway):
    other = {"type": "function", "name": "get_time", "parameters": {"type": "object", "properties": {}}, "strict": False}
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_weather"}]}
    for choice in ({"type": "function", "name": "get_weather"}, allowed):
        reply = whole(ask(gateway, "Weather?", tools=[other, TOOL], tool_choice=choice))
        assert [item.name for item in reply.output if item.type == "function_call"] == ["get_weather"], reply


@check("tools: streamed")
def tool_streamed(gateway):
    events = streamed(gateway, "Weather?", tools=[TOOL], tool_choice="required")
    pieces = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
    done = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert is_weather(json.loads(pieces)) and [event.arguments for event in done] == [pieces]
    begun = next(event.item for event in events if event.type == "response.output_item.added")
    assert begun.name == "get_weather" and begun.arguments == "" and begun.status == "in_progress"
    assert events[-1].response.output[-1].arguments == pieces


@check("tools: stream helper with a typed tool")
def tool_typed(gateway):
    class get_weather(pydantic.BaseModel):
        city: str
        days: int

    tool = openai.pydantic_function_tool(get_weather)["function"] | {"type": "function"}
    with client(gateway).responses.stream(model=ECHO, input="Weather?", tools=[tool], tool_choice="required") as events:
        final = events.get_final_response()
    assert final.output[-1].name == "get_weather", final


@check("JSON schema")
def schema(gateway):
    shape = {"type": "json_schema", "name": "place", "strict": True, "schema": FLAT}
    assert is_flat(json.loads(whole(ask(gateway, "Paris", text={"format": shape})).output_text))


@check("typed parse, whole and streamed")
def parse(gateway):
    reply = client(gateway).responses.parse(model=ECHO, input="Paris", text_format=Place)
    assert isinstance(reply.output_parsed, Place)
    with client(gateway).responses.stream(model=ECHO, input="Paris", text_format=Place) as events:
        assert isinstance(events.get_final_response().output_parsed, Place)


@check("image input, several turns")
def image(gateway):
    parts = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "detail": "low", "image_url": f"data:image/png;base64,{PNG_BASE64}"},
    ]
    turns = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": parts},
    ]
    assert "What is this?" in ask(gateway, turns).output_text


@check("previous_response_id goes on, whole and streamed, over providers that store nothing")
def goes_on(gateway):
    first = whole(ask(gateway, "My name is Ada.", user="ada"))
    assert first.store is True and first.previous_response_id is None, first
    second = whole(ask(gateway, "Who am I?", model=LOREM, previous_response_id=first.id))
    assert second.previous_response_id == first.id and second.id != first.id
    # What the prompt takes tells that all of it was sent.
    alone = ask(gateway, "Who am I?", store=False)
    assert alone.store is False and second.usage.input_tokens > alone.usage.input_tokens, (second.usage, alone.usage)
    last = streamed(gateway, "And now?", previous_response_id=second.id)[-1].response
    assert last.previous_response_id == second.id and last.usage.input_tokens > second.usage.input_tokens
    third = whole(ask(gateway, "Still?", previous_response_id=last.id))
    assert third.usage.input_tokens > last.usage.input_tokens
    client(gateway).responses.delete(third.id)
    error = refused(openai.BadRequestError, lambda: ask(gateway, "x", previous_response_id=third.id))
    assert error.code == "previous_response_not_found", error
    error = refused(openai.BadRequestError, lambda: ask(gateway, "x", previous_response_id=alone.id))
    assert error.code == "previous_response_not_found", error


@check("what is stored elsewhere is refused with what to do instead")
def stored(gateway):
    error = refused(openai.BadRequestError, lambda: ask(gateway, "And then?", previous_response_id="resp_0"))
    assert error.code == "previous_response_not_found" and error.param == "previous_response_id", error
    assert "send the whole conversation" in error.message, error
    error = refused(openai.BadRequestError, lambda: ask(gateway, "Later.", background=True))
    assert error.param == "background", error


@check("what cannot be passed on is reported")
def lost(gateway):
    raw = client(gateway).responses.with_raw_response.create(
        model=ECHO, input="x", store=False, truncation="auto", include=["reasoning.encrypted_content"]
    )
    assert raw.headers["x-trunkline-lost"] == "truncation", raw.headers
    assert raw.headers["x-trunkline-target"] == ECHO and raw.parse().output_text


@check("error classes")
def errors(gateway):
    error = refused(openai.AuthenticationError, lambda: client(gateway, key="no").responses.create(model=ECHO, input="x"))
    assert error.code == "invalid_api_key"
    error = refused(openai.NotFoundError, lambda: ask(gateway, "x", model="sim/ecko"))
    assert "echo" in error.message and error.code == "model_not_found" and error.request_id
    refused(openai.NotFoundError, lambda: ask(gateway, "x", model="sim/ecko", stream=True))
    error = refused(openai.BadRequestError, lambda: ask(gateway, {"role": "user"}))
    assert error.type == "invalid_request_error" and error.param == "input", error
    error = refused(openai.BadRequestError, lambda: ask(gateway, [{"role": "user", "content": 5}]))
    assert error.param == "input[0].content", error


@check("async: twenty at once, half of them streamed")
async def many(gateway):
    async with client(gateway, openai.AsyncOpenAI) as calls:

        async def whole_one(i):
            return (await calls.responses.create(model=ECHO, input=f"call {i}")).output_text

        async def streamed_one(i):
            parts = await calls.responses.create(model=ECHO, input=f"call {i}", stream=True)
            return "".join([e.delta async for e in parts if e.type == "response.output_text.delta"])

        texts = await asyncio.gather(*[(streamed_one if i % 2 else whole_one)(i) for i in range(20)])
        assert all(f"call {i}" in text for i, text in enumerate(texts)), texts


class Thinker(http.server.BaseHTTPRequestHandler):
    """A provider of anthropic-messages that thinks, signs, calls, cites, and breaks off when it is told to."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(asked)
        prompt = json.dumps(asked["messages"][0])
        if "busy" in prompt:
            return self._send(429, json.dumps({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}))
        thought = {"type": "thinking", "thinking": "Look it up.", "signature": "c2ln"}
        call = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Bonn", "days": 1}}
        cited = {"type": "web_search_result_location", "url": "https://example.com/w", "title": "W", "encrypted_index": "x"}
        text = {"type": "text", "text": "It rains.", "citations": [cited | {"cited_text": "rain"}]}
        again = len(asked["messages"]) > 1
        reply = {"id": "msg_1", "type": "message", "role": "assistant", "model": "tiny", "stop_sequence": None}
        reply["content"] = [text] if again else [thought, call]
        reply["stop_reason"] = "end_turn" if again else "tool_use"
        reply["usage"] = {"input_tokens": 7, "output_tokens": 3}
        if asked.get("stream"):
            return self._send(200, "".join(self._events(reply, "break" in prompt)), "text/event-stream")
        self._send(200, json.dumps(reply))

    def _events(self, reply, broken):
        def event(kind, **rest):
            return f"event: {kind}\ndata: {json.dumps({'type': kind, **rest})}\n\n"

        yield event("message_start", message=reply | {"content": [], "stop_reason": None})
        for index, block in enumerate(reply["content"]):
            kind, key = {"thinking": ("thinking_delta", "thinking"), "text": ("text_delta", "text")}.get(
                block["type"], ("input_json_delta", "input")
            )
            empty = block | ({key: {} if key == "input" else ""}) | ({"signature": ""} if key == "thinking" else {})
            yield event("content_block_start", index=index, content_block=empty | ({"citations": []} if key == "text" else {}))
            value = json.dumps(block["input"]) if key == "input" else block[key]
            name = "partial_json" if key == "input" else key
            for piece in (value[:3], value[3:]):
                yield event("content_block_delta", index=index, delta={"type": kind, name: piece})
            if broken:
                yield event("error", error={"type": "overloaded_error", "message": "too busy"})
                return
            for citation in block.get("citations", []):
                yield event("content_block_delta", index=index, delta={"type": "citations_delta", "citation": citation})
            if "signature" in block:
                delta = {"type": "signature_delta", "signature": block["signature"]}
                yield event("content_block_delta", index=index, delta=delta)
            yield event("content_block_stop", index=index)
        yield event("message_delta", delta={"stop_reason": reply["stop_reason"], "stop_sequence": None}, usage=reply["usage"])
        yield event("message_stop")

    def _send(self, status, body, media="application/json"):
        body = body.encode()
        self.send_response(status)
        self.send_header("content-type", media)
        self.send_header("content-length", str(len(body)))
        if status == 429:
            self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(body)


class Thinking:
    """A gateway in front of a [`Thinker`]."""

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Thinker)
        self.server.asked = self.asked = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        port = self.server.server_address[1]
        house = f'base_url = "http://127.0.0.1:{port}"\ndialects = ["anthropic-messages"]\nauth = {{ none = true }}\n'
        self.gateway = Gateway(f"[providers.house]\n{house}")
        try:
            self.gateway.__enter__()
        except BaseException:
            self.server.shutdown()
            raise
        return self

    def __exit__(self, *_):
        self.gateway.__exit__()
        self.server.shutdown()
        self.server.server_close()


@check("reasoning: its signature comes back to its maker through the tool loop, whole and streamed")
def reasoning(_):
    with Thinking() as house:
        asked = {"model": "house/tiny", "tools": [TOOL], "reasoning": {"effort": "high", "summary": "auto"}, "store": False}
        asked["include"] = ["reasoning.encrypted_content"]
        calls = client(house.gateway).responses
        for stream in (False, True):
            items = [{"role": "user", "content": "Weather?"}]
            if stream:
                with calls.stream(input=items, **asked) as events:
                    told = [event for event in events]
                    first = events.get_final_response()
                thoughts = "".join(e.delta for e in told if e.type == "response.reasoning_summary_text.delta")
                assert thoughts == "Look it up."
            else:
                first = whole(calls.create(input=items, **asked))
            kinds = [item.type for item in first.output]
            assert kinds == ["reasoning", "function_call"] and first.output[0].summary[0].text == "Look it up.", first
            assert first.output[0].encrypted_content
            items += [item.to_dict(mode="json", exclude_unset=True) for item in first.output]
            items.append({"type": "function_call_output", "call_id": first.output[1].call_id, "output": "rain"})
            last = whole(calls.create(input=items, **asked))
            said = house.asked[-1]["messages"][1]["content"]
            assert said[0] == {"type": "thinking", "thinking": "Look it up.", "signature": "c2ln"}, said
            note = last.output[0].content[0].annotations[0]
            assert last.output_text == "It rains." and (note.type, note.url) == ("url_citation", "https://example.com/w")


@check("errors of a provider: instead of an answer, and within a stream")
def provider_errors(_):
    with Thinking() as house:
        error = refused(openai.RateLimitError, lambda: ask(house.gateway, "busy", model="house/tiny"))
        assert "slow down" in error.message and error.response.headers["retry-after"] == "7"
        seen = []

        def follow():
            for event in ask(house.gateway, "break", model="house/tiny", stream=True):
                seen.append(event.type)

        error = refused(openai.APIError, follow)
        assert "too busy" in error.message, error
        assert "response.reasoning_summary_text.delta" in seen and "response.completed" not in seen, seen


@check("the tokens of a request")
def count(gateway):
    counts = client(gateway).responses.input_tokens
    short, long = (counts.count(model=ECHO, input=text) for text in ("Hi.", "Hi. " * 50))
    assert whole(short).object == "response.input_tokens" and 0 < short.input_tokens < long.input_tokens, (short, long)
