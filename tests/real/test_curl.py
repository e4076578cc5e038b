"""curl against the gateway: each caller's dialect, whole and streamed, to a real server in the same dialect and in another."""

import json
import subprocess

from check import check

PROVIDERS = ("house", "house-messages")
ASK = "Write three sentences about the sea."


def curl(gateway, path, body, *options):
    """The body of the reply, how long its first byte took, and how long all of it took (seconds)."""
    command = ["curl", "-sS", "--no-buffer", "--max-time", "50", "-H", f"Authorization: Bearer {gateway.key}"]
    command += ["-H", "Content-Type: application/json", "--data-binary", json.dumps(body), *options]
    command += ["-w", "\n%{http_code} %{time_starttransfer} %{time_total}", gateway.url + path]
    text, _, figures = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rpartition("\n")
    status, first, total = figures.split()
    assert status == "200", (status, text)
    return text, float(first), float(total)


def frames(text):
    """The data of each server-sent event; comments and event names left out."""
    return [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]


def came_in_parts(first, total):
    assert first < total * 0.7, f"the first byte came after {first} s of {total} s: not streamed"


def openai_body(provider, **rest):
    return {
        "model": f"{provider}/smollm2",
        "max_tokens": 40,
        "temperature": 0,
        "messages": [{"role": "user", "content": ASK}],
        **rest,
    }


def gemini_body(tokens=40):
    settings = {"maxOutputTokens": tokens, "temperature": 0}
    return {"contents": [{"role": "user", "parts": [{"text": ASK}]}], "generationConfig": settings}


for provider in PROVIDERS:

    @check(f"openai chat, {provider}")
    def chat(gateway, provider=provider):
        reply = json.loads(curl(gateway, "/v1/chat/completions", openai_body(provider))[0])
        assert reply["choices"][0]["message"]["content"] and reply["usage"]["completion_tokens"] > 0, reply
        assert reply["object"] == "chat.completion"

    @check(f"openai chat streamed, {provider}")
    def chat_streamed(gateway, provider=provider):
        text, first, total = curl(gateway, "/v1/chat/completions", openai_body(provider, stream=True))
        came_in_parts(first, total)
        *chunks, end = frames(text)
        assert end == "[DONE]" and text.endswith("data: [DONE]\n\n"), text[-200:]
        said = [json.loads(chunk)["choices"][0] for chunk in chunks]
        assert len("".join(choice["delta"].get("content") or "" for choice in said)) > 20
        assert [choice["finish_reason"] for choice in said if choice["finish_reason"]] in (["length"], ["stop"])

    @check(f"openai completions, whole and streamed, {provider}")
    def completions(gateway, provider=provider):
        body = {"model": f"{provider}/smollm2", "prompt": "The sea is", "max_tokens": 10, "temperature": 0}
        assert json.loads(curl(gateway, "/v1/completions", body)[0])["choices"][0]["text"]
        *chunks, end = frames(curl(gateway, "/v1/completions", {**body, "stream": True})[0])
        assert end == "[DONE]" and any(json.loads(chunk)["choices"][0]["text"] for chunk in chunks)

    @check(f"anthropic messages, {provider}")
    def messages(gateway, provider=provider):
        reply = json.loads(curl(gateway, "/v1/messages", openai_body(provider), "-H", "anthropic-version: 2023-06-01")[0])
        assert reply["type"] == "message" and reply["content"][0]["text"] and reply["usage"]["output_tokens"] > 0, reply

    @check(f"anthropic messages streamed, {provider}")
    def messages_streamed(gateway, provider=provider):
        body = openai_body(provider, stream=True)
        text, first, total = curl(gateway, "/v1/messages", body, "-H", "anthropic-version: 2023-06-01")
        came_in_parts(first, total)
        events = [json.loads(frame) for frame in frames(text)]
        assert events[0]["type"] == "message_start" and [e["type"] for e in events[-2:]] == ["message_delta", "message_stop"]
        assert text.endswith("\n\n") and events[-2]["usage"]["output_tokens"] > 0
        assert len("".join(e["delta"].get("text", "") for e in events if e["type"] == "content_block_delta")) > 20

    @check(f"gemini, {provider}")
    def gemini(gateway, provider=provider):
        reply = json.loads(curl(gateway, f"/v1beta/models/{provider}/smollm2:generateContent", gemini_body())[0])
        assert (
            reply["candidates"][0]["content"]["parts"][0]["text"] and reply["usageMetadata"]["candidatesTokenCount"] > 0
        ), reply

    @check(f"gemini streamed, {provider}")
    def gemini_streamed(gateway, provider=provider):
        path = f"/v1beta/models/{provider}/smollm2:streamGenerateContent"
        text, first, total = curl(gateway, f"{path}?alt=sse", gemini_body())
        came_in_parts(first, total)
        chunks = [json.loads(frame) for frame in frames(text)]
        assert chunks[-1]["candidates"][0]["finishReason"] in ("STOP", "MAX_TOKENS") and "[DONE]" not in text
        assert len(chunks) > 3 and chunks[-1]["usageMetadata"]["totalTokenCount"] > 0
        array = json.loads(curl(gateway, path, gemini_body(8))[0])  # without alt=sse: one JSON array
        assert isinstance(array, list) and array[-1]["candidates"][0]["finishReason"]


@check("count tokens, anthropic and gemini")
def count(gateway):
    body = {"model": "house-messages/smollm2", "messages": [{"role": "user", "content": ASK}]}
    assert json.loads(curl(gateway, "/v1/messages/count_tokens", body)[0])["input_tokens"] > 5
    counted = json.loads(curl(gateway, "/v1beta/models/house-messages/smollm2:countTokens", gemini_body())[0])
    assert counted["totalTokens"] > 5


@check("same lane: fields that only this server knows come through")
def same_lane(gateway):
    text = curl(gateway, "/v1/chat/completions", openai_body("house", stream=True, stream_options={"include_usage": True}))[
        0
    ]
    last = json.loads(frames(text)[-2])
    assert last["timings"]["predicted_n"] > 0 and last["usage"]["total_tokens"] > 0, last


@check("a prompt that takes a while: comments before the first event are no trouble")
def long_prompt(gateway):
    said = " ".join(f"Number {n}." for n in range(80))
    body = openai_body("house", stream=True, max_tokens=5, messages=[{"role": "user", "content": said}])
    assert frames(curl(gateway, "/v1/chat/completions", body)[0])[-1] == "[DONE]"
    body["messages"][0]["content"] = "Again. " + said
    text = curl(gateway, "/v1/messages", body, "-H", "anthropic-version: 2023-06-01")[0]
    assert json.loads(frames(text)[-1])["type"] == "message_stop"
