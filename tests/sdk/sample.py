"""What all three test files send: a tool, a shape for an answer, a picture."""

import base64
import enum
import struct
import zlib

import pydantic

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


class Kind(str, enum.Enum):
    town = "town"
    city = "city"


class Mayor(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    name: str
    since: int


class Place(pydantic.BaseModel):
    """Nested on purpose: its JSON schema has $defs and $ref, an enum, a list and a nullable field."""

    model_config = pydantic.ConfigDict(extra="forbid")
    name: str
    kind: Kind
    population: int
    rivers: list[str]
    mayor: Mayor
    nickname: str | None


FLAT = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "population": {"type": "integer"}, "coastal": {"type": "boolean"}},
    "required": ["name", "population", "coastal"],
    "additionalProperties": False,
}


def is_flat(value):
    """Whether a parsed reply is what FLAT asks for."""
    types = {name: type(field) for name, field in value.items()}
    return types == {"name": str, "population": int, "coastal": bool}


def is_weather(value):
    """Whether a tool's arguments are what WEATHER asks for."""
    return set(value) == {"city", "days"} and isinstance(value["city"], str) and 1 <= value["days"] <= 7


def _png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + chunk(b"IEND", b"")


PNG = _png()
PNG_BASE64 = base64.b64encode(PNG).decode()


def refused(kind, call):
    """The error of class `kind` that `call` must raise."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}: the call succeeded")


def whole(reply):
    """Checks a reply of the OpenAI or Anthropic SDK against its own type (the SDKs themselves never check)."""
    type(reply).model_validate(reply.to_dict(mode="json"))
    return reply
