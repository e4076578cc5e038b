"""Streams that break off: each SDK gets what had come and then raises its usual exception, never a silent end.

A local provider plays the streams of fixtures/, cut where the model's name says and ended as it says, in the SDK's own
dialect (bytes are forwarded) and in another (they are translated). Every single byte is cut in the tests in Rust.
"""

import http.server
import re
import threading

import anthropic
import botocore.exceptions
import ollama
import openai
import test_anthropic
import test_bedrock
import test_cohere
import test_gemini
import test_ollama
import test_openai
import test_responses
from check import check
from cohere.core.api_error import ApiError
from gateway import ROOT, Gateway
from google.genai import errors

STREAMS = {
    "openai-chat": "text/reply.sse",
    "openai-responses": "text-stream/reply.sse",
    "anthropic-messages": "text-stream/reply.sse",
    "gemini": "text-stream/reply.sse",
    "cohere-chat": "text-stream/reply.sse",
    "ollama": "text-stream/reply.ndjson",
    "bedrock-converse": "text-stream/reply.eventstream",
}
MEDIA = {"sse": "text/event-stream", "ndjson": "application/x-ndjson", "eventstream": "application/vnd.amazon.eventstream"}


def stream_of(dialect):
    return (ROOT / "fixtures" / dialect / STREAMS[dialect]).read_bytes()


class Cutter(http.server.BaseHTTPRequestHandler):
    """A provider of every dialect. It is asked for the model `DIALECT-cut-BYTES-HOW`."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        dialect, cut, how = re.search(r"([a-z-]+)-cut-(\d+)-(end|drop)", self.path + body).groups()
        self.send_response(200)
        self.send_header("content-type", MEDIA[STREAMS[dialect].rsplit(".", 1)[1]])
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        if piece := stream_of(dialect)[: int(cut)]:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if how == "end":
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True


class Cutting:
    """A gateway in front of a [`Cutter`], which it knows as one provider for each dialect."""

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cutter)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self.server.server_address[1]}"
        one = '[providers.at-{0}]\nbase_url = "{1}"\ndialects = ["{0}"]\nauth = {{ none = true }}\n'
        self.gateway = Gateway("\n".join(one.format(dialect, url) for dialect in STREAMS))
        try:
            return self.gateway.__enter__()
        except BaseException:
            self.server.shutdown()
            raise

    def __exit__(self, *_):
        self.gateway.__exit__()
        self.server.shutdown()
        self.server.server_close()


def each_cut(own, other, follow, usual):
    """`follow(gateway, model, told)` asks for a stream and adds the texts of it to `told`; `usual` is what the SDK raises."""
    with Cutting() as gateway:
        for dialect in (own, other):
            whole = stream_of(dialect)

            def heard(cut, how, dialect=dialect):
                told, error = [], None
                try:
                    follow(gateway, f"at-{dialect}/{dialect}-cut-{cut}-{how}", told)
                except usual as caught:
                    error = caught
                return "".join(told), error

            text, error = heard(len(whole), "end")
            assert text and error is None, (dialect, text, error)
            before = ""
            # Up to the middle of the last frame. Whoever closes without a word is heard to the end all the same.
            cuts = [*range(0, len(whole) - 4, max(1, len(whole) // 12)), len(whole) - 6]
            for at, cut in enumerate(cuts):
                said, error = heard(cut, ("end", "drop")[at % 2])
                assert error is not None, f"{dialect} cut at byte {cut} of {len(whole)}: no exception after {said!r}"
                assert f"at-{dialect}" in str(error), (cut, error)
                assert text.startswith(said) and said.startswith(before), (dialect, cut, before, said)
                before = said
            # The last frame of this one holds the last words, too.
            assert before == text or dialect == "gemini" and before, (dialect, before, text)
            assert heard(len(whole), "drop") == (text, None), dialect


@check("openai, chat: openai.APIError")
def openai_chat(_):
    def follow(gateway, model, told):
        for chunk in test_openai.ask(gateway, test_openai.user("x"), model=model, stream=True):
            told.extend(choice.delta.content or "" for choice in chunk.choices)

    each_cut("openai-chat", "anthropic-messages", follow, openai.APIError)


@check("openai, chat, with the helper for streams: openai.APIError")
def openai_helper(_):
    def follow(gateway, model, told):
        completions = test_openai.client(gateway).chat.completions
        with completions.stream(model=model, messages=test_openai.user("x")) as events:
            told.extend(event.delta for event in events if event.type == "content.delta")
            events.get_final_completion()

    each_cut("openai-chat", "gemini", follow, openai.APIError)


@check("openai, responses: openai.APIError")
def openai_responses(_):
    def follow(gateway, model, told):
        for event in test_responses.ask(gateway, "x", model=model, stream=True):
            if event.type == "response.output_text.delta":
                told.append(event.delta)

    each_cut("openai-responses", "openai-chat", follow, openai.APIError)


@check("anthropic: anthropic.APIError")
def anthropic_messages(_):
    def follow(gateway, model, told):
        for event in test_anthropic.ask(gateway, test_anthropic.user("x"), model=model, stream=True):
            if event.type == "content_block_delta":
                told.append(event.delta.text)

    each_cut("anthropic-messages", "openai-chat", follow, anthropic.APIError)


@check("anthropic, with the helper for streams: anthropic.APIError")
def anthropic_helper(_):
    def follow(gateway, model, told):
        messages = test_anthropic.client(gateway).messages
        with messages.stream(model=model, messages=test_anthropic.user("x"), max_tokens=50) as events:
            told.extend(events.text_stream)
            events.get_final_message()

    each_cut("anthropic-messages", "openai-responses", follow, anthropic.APIError)


@check("google-genai: errors.APIError")
def gemini(_):
    def follow(gateway, model, told):
        with test_gemini.client(gateway) as calls:
            for chunk in calls.models.generate_content_stream(model=model, contents="x"):
                told.append(chunk.text or "")

    each_cut("gemini", "openai-chat", follow, errors.APIError)


@check("boto3: ClientError, which an EventStreamError is")
def bedrock(_):
    def follow(gateway, model, told):
        calls = test_bedrock.client(gateway)
        for event in calls.converse_stream(modelId=model, messages=[test_bedrock.said("x")])["stream"]:
            told.append(event.get("contentBlockDelta", {}).get("delta", {}).get("text", ""))

    each_cut("bedrock-converse", "openai-chat", follow, botocore.exceptions.ClientError)


class CohereError(Exception):
    """The SDK has no exception for a stream that breaks off: the last event says ERROR, which its users look for."""


@check("cohere: ApiError before the first event, then an end whose reason is ERROR")
def cohere(_):
    def follow(gateway, model, told):
        events = test_cohere.client(gateway).chat_stream(model=model, messages=test_cohere.user("x"))
        for event in events:
            told.append(test_cohere.told([event]))
            last = event
        assert last.type == "message-end", last
        if last.delta.finish_reason == "ERROR":
            raise CohereError(last.delta.error)

    each_cut("cohere-chat", "openai-chat", follow, (CohereError, ApiError))


@check("ollama: ResponseError")
def ollama_chat(_):
    def follow(gateway, model, told):
        for part in test_ollama.ask(gateway, test_ollama.user("x"), model=model, stream=True):
            told.append(part.message.content or "")

    each_cut("ollama", "openai-chat", follow, ollama.ResponseError)
