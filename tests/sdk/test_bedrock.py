"""boto3, the AWS SDK, against the gateway: Converse and ConverseStream of `bedrock-runtime`, unmodified."""

import json

import boto3
import botocore.config
import botocore.exceptions
from check import check
from sample import FLAT, PNG, WEATHER, Place, is_flat, is_weather, refused

ECHO, LOREM = "sim/echo", "sim/lorem"
TOOL = {"toolSpec": {"name": "get_weather", "description": "The weather.", "inputSchema": {"json": WEATHER}}}
ONCE = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=30)




def client(gateway, key=None, service="bedrock-runtime"):
    """The gateway's key as the id of an access key; boto3 signs with it as ever. (Behind TLS the gateway's key may also
    stand in AWS_BEARER_TOKEN_BEDROCK; without TLS boto3 refuses to send it.)"""
    session = boto3.session.Session(aws_access_key_id=key or gateway.key, aws_secret_access_key="anything")
    return session.client(service, region_name="eu-west-1", endpoint_url=gateway.url, config=ONCE)


def said(*content, role="user"):
    return {"role": role, "content": [{"text": block} if isinstance(block, str) else block for block in content]}


def ask(gateway, *content, model=ECHO, **more):
    return client(gateway).converse(modelId=model, messages=[said(*content)], **more)


def stream(gateway, *content, model=ECHO, **more):
    return list(client(gateway).converse_stream(modelId=model, messages=[said(*content)], **more)["stream"])


def text(reply):
    return "".join(block.get("text", "") for block in reply["output"]["message"]["content"])


def deltas(events):
    return [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]


@check("converse: text, usage, stop reason")
def converse(gateway):
    reply = ask(gateway, "Hello — “you” 🌧.", system=[{"text": "Be brief."}], inferenceConfig={"maxTokens": 100})
    assert text(reply) == "Hello — “you” 🌧.", reply
    assert reply["output"]["message"]["role"] == "assistant" and reply["stopReason"] == "end_turn", reply
    usage = reply["usage"]
    assert usage["inputTokens"] > 0 and usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"], usage
    assert isinstance(reply["metrics"]["latencyMs"], int)
    head = reply["ResponseMetadata"]
    assert head["HTTPStatusCode"] == 200 and head["RequestId"], head
    assert head["HTTPHeaders"]["x-trunkline-target"] == ECHO, head


@check("converse: an answer that reaches its length, and a whole conversation")
def length(gateway):
    reply = ask(gateway, "x", model=LOREM, inferenceConfig={"maxTokens": 5})
    assert reply["stopReason"] == "max_tokens" and reply["usage"]["outputTokens"] == 5, reply
    turns = [said("One."), said("Two.", role="assistant"), said("Three.")]
    assert text(client(gateway).converse(modelId=ECHO, messages=turns)) == "Three."


@check("converse_stream: events in their order")
def streamed(gateway):
    events = stream(gateway, "Hello — “you” 🌧, and more of it.")
    names = [next(iter(event)) for event in events]
    assert names[0] == "messageStart" and names[-3:] == ["contentBlockStop", "messageStop", "metadata"], names
    pieces = [delta["text"] for delta in deltas(events)]
    assert len(pieces) > 3 and "".join(pieces) == "Hello — “you” 🌧, and more of it.", pieces
    assert events[-2]["messageStop"]["stopReason"] == "end_turn"
    assert events[-1]["metadata"]["usage"]["outputTokens"] > 0 and "latencyMs" in events[-1]["metadata"]["metrics"]


@check("tools: called, answered, and called in a stream")
def tools(gateway):
    config = {"tools": [TOOL], "toolChoice": {"tool": {"name": "get_weather"}}}
    reply = ask(gateway, "Weather?", toolConfig=config)
    assert reply["stopReason"] == "tool_use", reply
    message = reply["output"]["message"]
    (call,) = [block["toolUse"] for block in message["content"] if "toolUse" in block]
    assert call["name"] == "get_weather" and is_weather(call["input"]), call
    result = {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"json": {"sky": "clear"}}], "status": "success"}}
    turns = [said("Weather?"), message, said(result)]
    again = client(gateway).converse(modelId=ECHO, messages=turns, toolConfig={"tools": [TOOL]})
    assert json.loads(text(again)) == {"sky": "clear"}, again
    events = stream(gateway, "Weather?", toolConfig={"tools": [TOOL], "toolChoice": {"any": {}}})
    (start,) = [event["contentBlockStart"] for event in events if "contentBlockStart" in event]
    assert start["start"]["toolUse"]["name"] == "get_weather", start
    assert is_weather(json.loads("".join(delta["toolUse"]["input"] for delta in deltas(events))))
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"


@check("images and documents as bytes")
def media(gateway):
    image = {"image": {"format": "png", "source": {"bytes": PNG}}}
    document = {"document": {"format": "txt", "name": "notes", "source": {"bytes": b"some notes"}}}
    assert text(ask(gateway, "What is this?", image, document)) == "What is this?"
    assert text(ask(gateway, "What is this?", image, model="other/echo")) == "What is this?"


@check("structured output")
def structured(gateway):
    for schema, fits in ((FLAT, is_flat), (Place.model_json_schema(), Place.model_validate)):
        form = {"type": "json_schema", "structure": {"jsonSchema": {"schema": json.dumps(schema), "name": "place"}}}
        assert fits(json.loads(text(ask(gateway, "A place.", outputConfig={"textFormat": form}))))


@check("count_tokens")
def count(gateway):
    given = {"converse": {"messages": [said("Three words here.")], "system": [{"text": "Be brief."}]}}
    assert client(gateway).count_tokens(modelId=ECHO, input=given)["inputTokens"] > 3


@check("names of models: slashes, colons, whole ARNs")
def names(gateway):
    arn = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.some-maker.some-model-v1:0"
    calls = client(gateway)
    for name in ("sim/nobody", f"sim/{arn}"):
        asked = {"modelId": name, "messages": [said("x")]}
        error = refused(calls.exceptions.ResourceNotFoundException, lambda: calls.converse(**asked))
        assert name.removeprefix("sim/") in error.response["Error"]["Message"], error


@check("errors have their classes")
def errors(gateway):
    calls = client(gateway)
    odd = [said("x", role="tool")]
    error = refused(calls.exceptions.ValidationException, lambda: calls.converse(modelId=ECHO, messages=odd))
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400 and "messages[0].role" in str(error), error
    missing = {"modelId": "sim/nobody", "messages": [said("x")]}
    refused(calls.exceptions.ResourceNotFoundException, lambda: calls.converse_stream(**missing))
    wrong = refused(botocore.exceptions.ClientError, lambda: client(gateway, "wrong-key").converse(modelId=ECHO, messages=[]))
    assert wrong.response["Error"]["Code"] == "UnrecognizedClientException", wrong.response
    assert wrong.response["ResponseMetadata"]["HTTPStatusCode"] == 401


@check("through another dialect: whole, streamed, tools, errors")
def translated(gateway):
    reply = ask(gateway, "Hello.", model="other/echo")
    assert text(reply) == "Hello." and reply["ResponseMetadata"]["HTTPHeaders"]["x-trunkline-target"] == "other/echo"
    assert "".join(delta["text"] for delta in deltas(stream(gateway, "Hello there.", model="other/echo"))) == "Hello there."
    config = {"tools": [TOOL], "toolChoice": {"any": {}}}
    events = stream(gateway, "Weather?", model="other/echo", toolConfig=config)
    assert is_weather(json.loads("".join(delta["toolUse"]["input"] for delta in deltas(events)))), events
    calls, missing = client(gateway), {"modelId": "other/nobody", "messages": [said("x")]}
    refused(calls.exceptions.ResourceNotFoundException, lambda: calls.converse_stream(**missing))


@check("list models")
def models(gateway):
    found = client(gateway, service="bedrock").list_foundation_models()["modelSummaries"]
    assert {ECHO, LOREM} <= {model["modelId"] for model in found}, found
