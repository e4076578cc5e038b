"""Everything but chat, with the official SDKs of OpenAI and Google: embeddings, images, speech, transcripts, moderation."""

import base64
import io
import json
import math
import urllib.request

import openai
from check import check
from google import genai
from google.genai import types
from sample import PNG_BASE64, refused, whole

ECHO = "sim/echo"


def client(gateway, kind=openai.OpenAI):
    return kind(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0, timeout=30)


def google(gateway):
    return genai.Client(api_key=gateway.key, http_options=types.HttpOptions(base_url=gateway.url))


def cosine(one, other):
    return sum(a * b for a, b in zip(one, other))


@check("openai embeddings, base64 unasked")
def embeddings(gateway):
    texts = ["the cat sat on the mat", "a cat on a mat", "interest rates rose"]
    reply = whole(client(gateway).embeddings.create(model=ECHO, input=texts, dimensions=64))
    vectors = [row.embedding for row in reply.data]
    assert [len(vector) for vector in vectors] == [64, 64, 64]
    assert all(math.isclose(cosine(vector, vector), 1, rel_tol=1e-4) for vector in vectors)
    assert cosine(vectors[0], vectors[1]) > cosine(vectors[0], vectors[2])
    assert [row.index for row in reply.data] == [0, 1, 2] and reply.usage.prompt_tokens > 0


@check("openai embeddings of numbers, of tokens, one text")
def embeddings_kinds(gateway):
    create = client(gateway).embeddings.create
    floats = create(model=ECHO, input="hello", encoding_format="float").data[0].embedding
    packed = create(model=ECHO, input=["hello"]).data[0].embedding
    assert all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in zip(floats, packed))
    assert len(create(model=ECHO, input=[[1, 2], [3]]).data) == 2


@check("openai embeddings, async, and errors")
async def embeddings_async(gateway):
    reply = await client(gateway, openai.AsyncOpenAI).embeddings.create(model=ECHO, input="x")
    assert len(reply.data[0].embedding) == 256
    error = refused(openai.NotFoundError, lambda: client(gateway).embeddings.create(model="sim/none", input="x"))
    assert "none" in str(error)
    refused(openai.BadRequestError, lambda: client(gateway).embeddings.create(model=ECHO, input=[]))


@check("openai images: generate and edit")
def images(gateway):
    reply = whole(client(gateway).images.generate(model=ECHO, prompt="a fox", n=2))
    pictures = [base64.b64decode(image.b64_json) for image in reply.data]
    assert len(set(pictures)) == 2 and all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens
    source = ("fox.png", io.BytesIO(base64.b64decode(PNG_BASE64)), "image/png")
    for image in (source, [source, ("b.png", b"\x89PNG", "image/png")]):
        edited = client(gateway).images.edit(model=ECHO, prompt="a hat", image=image)
        assert base64.b64decode(edited.data[0].b64_json).startswith(b"\x89PNG")
    linked = client(gateway).images.generate(model=ECHO, prompt="a fox", response_format="url")
    assert linked.data[0].url.startswith("data:image/png;base64,")


@check("openai speech, whole and streamed, and what was said")
def speech(gateway):
    audio = client(gateway).audio
    spoken = audio.speech.create(model=ECHO, voice="coral", input="Hello, Zürich 🚀", response_format="wav").read()
    assert spoken.startswith(b"RIFF")
    with audio.speech.with_streaming_response.create(model=ECHO, voice="coral", input="x", response_format="wav") as reply:
        assert b"".join(reply.iter_bytes()).startswith(b"RIFF")
    file = ("hello.wav", spoken, "audio/wav")
    assert whole(audio.transcriptions.create(model=ECHO, file=file)).text == "Hello, Zürich 🚀"
    assert audio.transcriptions.create(model=ECHO, file=file, response_format="text").strip() == "Hello, Zürich 🚀"
    verbose = audio.transcriptions.create(
        model=ECHO, file=file, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert verbose.segments[0].text and verbose.words[0].word == "Hello," and verbose.duration > 0
    assert "-->" in audio.transcriptions.create(model=ECHO, file=file, response_format="srt")
    assert audio.translations.create(model=ECHO, file=file).text == "Hello, Zürich 🚀"


@check("openai transcription, streamed")
def transcription_stream(gateway):
    events = list(client(gateway).audio.transcriptions.create(model=ECHO, file=("x.wav", b"RIFF"), stream=True))
    assert events[-1].type == "transcript.text.done"
    assert "".join(event.delta for event in events[:-1]) == events[-1].text


@check("openai transcription of 40 MB, which nothing holds")
def transcription_long(gateway):
    reply = client(gateway).audio.transcriptions.create(model=ECHO, file=("long.wav", bytes(40_000_000), "audio/wav"))
    assert "40000000" in reply.text


@check("openai moderation")
def moderation(gateway):
    reply = whole(client(gateway).moderations.create(model=ECHO, input=["I like you", "I will kill you"]))
    assert [result.flagged for result in reply.results] == [False, True]
    assert reply.results[1].categories.violence and reply.results[1].category_scores.violence > 0.5
    parts = [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}]
    assert len(client(gateway).moderations.create(model=ECHO, input=parts).results) == 1


@check("google embeddings, one and several")
def google_embeddings(gateway):
    config = types.EmbedContentConfig(task_type="RETRIEVAL_QUERY", output_dimensionality=32)
    client = google(gateway)
    one = client.models.embed_content(model=ECHO, contents="why", config=config)
    many = client.models.embed_content(model=ECHO, contents=["why", "how", "who"], config=config)
    assert len(one.embeddings) == 1 and len(one.embeddings[0].values) == 32
    assert len(many.embeddings) == 3 and many.embeddings[0].values == one.embeddings[0].values


@check("rerank in both shapes, and a provider's own path")
def rerank(gateway):
    def post(path, body):
        headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}
        request = urllib.request.Request(gateway.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    body = {"model": ECHO, "query": "red fox", "documents": ["blue whale", "a red fox"], "top_n": 1}
    for path in ("/v1/rerank", "/v2/rerank"):
        assert [row["index"] for row in post(path, body)["results"]] == [1], path
    vectors = post("/passthrough/sim/embeddings", {"model": "echo", "input": "x"})
    assert len(vectors["data"][0]["embedding"]) == 256
