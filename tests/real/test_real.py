"""The official SDKs against the gateway with a real model behind it, and callers who leave early."""

import json
import subprocess
import time

import anthropic
import openai
from check import check
from google import genai
from google.genai import errors, types
from sample import refused

PROVIDERS = ("house", "house-messages")
ASK = "Write three sentences about the sea."
LONG = "Write a very long story."  # keeps this model busy far longer than a check waits
SHAPE = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 30}, "population": {"type": "integer", "maximum": 99999999}},
    "required": ["city", "population"],
    "additionalProperties": False,
}
CITY = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 30}}, "required": ["city"]}


def user(text):
    return [{"role": "user", "content": text}]


def openai_chat(gateway, provider, messages, **rest):
    calls = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0, timeout=50)
    rest = {"max_tokens": 40, "temperature": 0, **rest}
    return calls.chat.completions.create(model=f"{provider}/smollm2", messages=messages, **rest)


def anthropic_message(gateway, provider, messages, **rest):
    calls = anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0, timeout=50)
    return calls.messages.create(model=f"{provider}/smollm2", messages=messages, **{"max_tokens": 40, **rest})


def gemini(gateway):
    return genai.Client(api_key=gateway.key, http_options=types.HttpOptions(base_url=gateway.url, timeout=50_000))


def gemini_config(**rest):
    off = types.AutomaticFunctionCallingConfig(disable=True)
    return types.GenerateContentConfig(
        **{"max_output_tokens": 40, "temperature": 0, "automatic_function_calling": off, **rest}
    )


for provider in PROVIDERS:

    @check(f"openai SDK, whole and streamed, {provider}")
    def openai_both(gateway, provider=provider):
        reply = openai_chat(gateway, provider, user(ASK))
        assert reply.choices[0].message.content and reply.usage.prompt_tokens > 0 and reply.usage.completion_tokens > 0
        chunks = list(openai_chat(gateway, provider, user(ASK), stream=True, stream_options={"include_usage": True}))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text == reply.choices[0].message.content, (text, reply.choices[0].message.content)
        assert chunks[-1].usage.completion_tokens == reply.usage.completion_tokens

    @check(f"anthropic SDK, whole and streamed, {provider}")
    def anthropic_both(gateway, provider=provider):
        reply = anthropic_message(gateway, provider, user(ASK))
        assert reply.content[0].text and reply.usage.output_tokens > 0 and reply.stop_reason in ("end_turn", "max_tokens")
        calls = anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0, timeout=50)
        with calls.messages.stream(model=f"{provider}/smollm2", messages=user(ASK), max_tokens=40) as events:
            assert "".join(events.text_stream)
            assert events.get_final_message().usage.output_tokens > 0

    @check(f"gemini SDK, whole and streamed, {provider}")
    def gemini_both(gateway, provider=provider):
        client, name = gemini(gateway), f"{provider}/smollm2"
        reply = client.models.generate_content(model=name, contents=ASK, config=gemini_config())
        assert reply.text and reply.usage_metadata.candidates_token_count > 0
        chunks = list(client.models.generate_content_stream(model=name, contents=ASK, config=gemini_config()))
        assert "".join(c.text or "" for c in chunks) == reply.text and len(chunks) > 3

    @check(f"openai SDK: a tool called, streamed too, its result sent back, {provider}")
    def openai_tool(gateway, provider=provider):
        tools = [
            {"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": CITY}}
        ]
        question = user("What is the weather in Paris?")
        first = openai_chat(gateway, provider, question, tools=tools, tool_choice="required").choices[0]
        assert first.finish_reason == "tool_calls" and "city" in json.loads(first.message.tool_calls[0].function.arguments)
        chunks = list(openai_chat(gateway, provider, question, tools=tools, tool_choice="required", stream=True))
        parts = [d.function.arguments or "" for c in chunks if c.choices for d in c.choices[0].delta.tool_calls or []]
        assert "city" in json.loads("".join(parts))
        result = {"role": "tool", "tool_call_id": first.message.tool_calls[0].id, "content": "sunny"}
        last = openai_chat(gateway, provider, [*question, first.message, result], tools=tools)
        assert last.choices[0].message.content or last.choices[0].message.tool_calls

    @check(f"anthropic SDK: a tool called, streamed too, its result sent back, {provider}")
    def anthropic_tool(gateway, provider=provider):
        tools = [{"name": "get_weather", "description": "The weather.", "input_schema": CITY}]
        question, any_tool = user("What is the weather in Paris?"), {"type": "any"}
        first = anthropic_message(gateway, provider, question, tools=tools, tool_choice=any_tool)
        assert first.stop_reason == "tool_use" and "city" in first.content[-1].input, first
        calls = anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0, timeout=50)
        with calls.messages.stream(
            model=f"{provider}/smollm2", messages=question, max_tokens=60, tools=tools, tool_choice=any_tool
        ) as events:
            assert "city" in events.get_final_message().content[-1].input
        result = {"type": "tool_result", "tool_use_id": first.content[-1].id, "content": "sunny"}
        turns = [*question, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        assert anthropic_message(gateway, provider, turns, tools=tools).content

    @check(f"gemini SDK: a tool called, streamed too, {provider}")
    def gemini_tool(gateway, provider=provider):
        declared = types.FunctionDeclaration(name="get_weather", description="The weather.", parameters_json_schema=CITY)
        calling = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY"))
        config = gemini_config(
            tools=[types.Tool(function_declarations=[declared])], tool_config=calling, max_output_tokens=80
        )
        ask = {"model": f"{provider}/smollm2", "contents": "What is the weather in Paris?", "config": config}
        client = gemini(gateway)
        assert "city" in client.models.generate_content(**ask).function_calls[0].args
        chunks = list(client.models.generate_content_stream(**ask))
        assert ["city" in call.args for chunk in chunks for call in chunk.function_calls or []] == [True]


# Only through the OpenAI dialect: at /v1/messages this server takes output_config and does not heed it.
@check("JSON schema in three dialects, whole and streamed")
def schema(gateway):
    question = "Tell me about Paris, as JSON."
    wanted = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": SHAPE}}
    plain = openai_chat(gateway, "house", user(question), response_format=wanted, max_tokens=100)
    parts = openai_chat(gateway, "house", user(question), response_format=wanted, max_tokens=100, stream=True)
    config = {"format": {"type": "json_schema", "schema": SHAPE}}
    message = anthropic_message(gateway, "house", user(question), output_config=config, max_tokens=100)
    settings = gemini_config(response_mime_type="application/json", response_json_schema=SHAPE, max_output_tokens=100)
    with gemini(gateway) as client:
        reply = client.models.generate_content(model="house/smollm2", contents=question, config=settings)
    streamed = "".join(c.choices[0].delta.content or "" for c in parts if c.choices)
    for text in (plain.choices[0].message.content, streamed, message.content[0].text, reply.text):
        assert set(json.loads(text)) == {"city", "population"}, text


@check("a prompt beyond the context: the server's own words, in each caller's class of error")
def too_long(gateway):
    words, client, texts = "word " * 4000, gemini(gateway), []
    for provider in PROVIDERS:
        texts += [str(refused(openai.BadRequestError, lambda p=provider: openai_chat(gateway, p, user(words))))]
        texts += [str(refused(anthropic.BadRequestError, lambda p=provider: anthropic_message(gateway, p, user(words))))]
        texts += [
            str(
                refused(
                    errors.ClientError, lambda p=provider: client.models.generate_content(model=f"{p}/x", contents=words)
                )
            )
        ]
    assert all("context size" in text for text in texts), texts


@check("a provider that nobody serves: a 5xx in each dialect, at once, that names it")
def gone(gateway):
    start, client = time.monotonic(), gemini(gateway)
    texts = [str(refused(openai.InternalServerError, lambda: openai_chat(gateway, "gone", user("x"))))]
    texts += [str(refused(anthropic.InternalServerError, lambda: anthropic_message(gateway, "gone", user("x"))))]
    texts += [str(refused(errors.ServerError, lambda: client.models.generate_content(model="gone/x", contents="x")))]
    assert all("gone" in text for text in texts) and time.monotonic() - start < 15, texts


def leave_early(gateway, events):
    """Hangs up while `events` still come, and sees to it that the model stops writing."""
    gateway.llama.wait_until(1, 5)
    next(iter(events))
    events.close()
    gateway.llama.wait_until(0, 5)


for provider in PROVIDERS:

    @check(f"a caller who hangs up frees the model, three dialects, {provider}")
    def hang_up(gateway, provider=provider):
        gateway.llama.wait_until(0, 5)
        leave_early(gateway, openai_chat(gateway, provider, user(LONG), max_tokens=1500, stream=True))
        leave_early(gateway, anthropic_message(gateway, provider, user(LONG), max_tokens=1500, stream=True))
        config = gemini_config(max_output_tokens=1500)
        client = gemini(gateway)
        stream = client.models.generate_content_stream(model=f"{provider}/smollm2", contents=LONG, config=config)
        next(stream)
        leave_early(gateway, stream)


# Last, because this server goes on writing for a while: it notices a hang-up only in streams.
@check("a caller who hangs up before an unstreamed reply: the gateway drops its own call")
def hang_up_whole(gateway):
    for provider in PROVIDERS:
        body = {"model": f"{provider}/smollm2", "messages": user(LONG), "max_tokens": 1000}
        command = [
            "curl",
            "-sS",
            "--max-time",
            "1",
            "-H",
            f"Authorization: Bearer {gateway.key}",
            "--data-binary",
            json.dumps(body),
        ]
        command += ["-H", "Content-Type: application/json", f"{gateway.url}/v1/chat/completions"]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 28  # curl's word for a time-out
    assert gateway.llama.busy() > 0, "the model was done within a second"
    start = time.monotonic()
    while gateway.llama.connections():  # the server itself ends idle ones after 5 s
        assert time.monotonic() - start < 8, "8 s later the gateway still waits for a reply that nobody wants"
        time.sleep(0.1)
