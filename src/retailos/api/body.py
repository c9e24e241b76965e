"""The bytes of a request's body, taken within limits of size and time."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache

from starlette.types import Receive

from retailos.api.call import Call
from retailos.api.envelope import PROBLEM_JSON
from retailos.errors import BadRequest, NotAcceptable, PayloadTooLarge, UnsupportedMediaType

#: Stands in the scope of a request whose body has arrived, so that nobody needs to watch the time for it.
WHOLE = "retailos.whole"
#: A megabyte at 280 kbit/s; slower than that, a body is an attack or a lost phone.
BODY_SECONDS = 30.0
#: Of a body that is too large, so much is still taken in and dropped, for whoever sends it whole reads the answer only
#: then; on one that is larger, or does not say how large it is, the connection is closed.
DROPPED_BYTES = 16 * 1024 * 1024
#: The media type of server-sent events.
EVENTS = "text/event-stream"
#: What a PATCH may be sent as besides JSON: then every object in it is merged member by member (RFC 7396).
MERGE_PATCH = "application/merge-patch+json"
#: A parameter of a media type: its name, and its value as it stands or in quotes.
_PARAMETER = re.compile(r';[ \t]*([^\s;="]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^\s;"]*)')


class Disconnected(Exception):
    """The caller went away before its request was complete; nobody is left to answer."""


async def json_body(call: Call, limit: int, *, seconds: float = BODY_SECONDS) -> bytes:
    """Read the body of a request that says it is JSON.

    Raises UnsupportedMediaType, PayloadTooLarge, and BadRequest where it does not arrive in time.
    """
    check_media_type(call)
    declared = _declared(call, limit)
    if WHOLE in call.scope:
        return await _read(call.receive, declared, limit)
    try:
        async with asyncio.timeout(seconds):
            return await _read(call.receive, declared, limit)
    except TimeoutError:
        raise _late(f"expected the body within {seconds:.0f} seconds") from None


async def stream(call: Call, *, seconds: float = BODY_SECONDS) -> AsyncIterator[bytes]:
    """Give a body of any size piece by piece as it arrives, each when the one before is dealt with.

    Raises Disconnected where the caller goes away, and BadRequest where it sends nothing for so many seconds.
    """
    more = True
    while more:
        try:
            async with asyncio.timeout(seconds):
                message = await call.receive()
        except TimeoutError:
            raise _late(f"expected more of the body within {seconds:.0f} seconds") from None
        if message["type"] == "http.disconnect":
            raise Disconnected
        more = message.get("more_body", False)
        if piece := message.get("body"):
            yield piece


def check_media_type(call: Call) -> None:
    """Refuse what is not plain JSON in UTF-8, nor a merge patch where a part of a record is changed."""
    kinds = call.headers(b"content-type")
    plain = len(kinds) == 1 and media_type_of(kinds[0]) == "application/json"
    if not plain and not (is_merge_patch(call) and call.scope["method"] == "PATCH"):
        raise UnsupportedMediaType(f"{UnsupportedMediaType()} {_came(kinds)}")
    if any(each.strip().lower() != b"identity" for each in call.headers(b"content-encoding")):
        raise UnsupportedMediaType("expected a body without Content-Encoding, got an encoded one")


def _came(kinds: Sequence[bytes]) -> str:
    """What a body was announced as, and what to do; curl announces a form, unless it is told otherwise."""
    got = ", ".join(each.decode("latin-1") for each in kinds)[:100]
    it = f"It came as {got}" if got.isascii() and got.isprintable() and got else "It came without a media type"
    return f"{it}; send the header Content-Type: application/json."


def is_merge_patch(call: Call) -> bool:
    """Whether the body is announced as a merge patch."""
    return [media_type_of(each) for each in call.headers(b"content-type")] == [MERGE_PATCH]


def check_acceptable(call: Call, gives: tuple[str, ...] = ()) -> None:
    """Refuse a caller that takes no JSON, nor any of the media types that the operation gives instead."""
    if not _takes(b",".join(call.headers(b"accept")), gives):
        raise NotAcceptable


def wants_events(call: Call) -> bool:
    """Whether the operation has server-sent events, and the caller asks for them and not for JSON."""
    if call.operation is None or EVENTS not in call.operation.gives:
        return False
    ranges = _ranges(b",".join(call.headers(b"accept")))
    return EVENTS in ranges and "application/json" not in ranges


# Callers send the same few words again and again.
@lru_cache(maxsize=200)
def media_type_of(given: bytes) -> str:
    """The media type in a Content-Type, or "" where it says that its text is not UTF-8; nothing else is looked at."""
    kind, semicolon, rest = given.decode("latin-1").lower().partition(";")
    charsets = [value.strip('"') for name, value in _PARAMETER.findall(semicolon + rest) if name == "charset"]
    return kind.strip() if all(each in ("utf-8", "utf8") for each in charsets) else ""


@lru_cache(maxsize=200)
def _takes(accepted: bytes, gives: tuple[str, ...]) -> bool:
    ranges = _ranges(accepted)
    # Who names the form of errors means to say how errors should look, and takes what a success looks like.
    known = ("*/*", "application/*", "application/json", PROBLEM_JSON, *gives)
    return not ranges or any(each in known for each in ranges)


def _ranges(accepted: bytes) -> list[str]:
    return [each.split(";")[0].strip() for each in accepted.decode("latin-1").lower().split(",") if each.strip()]


def _declared(call: Call, limit: int) -> int | None:
    lengths = call.headers(b"content-length")
    if not lengths:
        return None
    if len(lengths) > 1 or not lengths[0].isdigit():
        raise BadRequest("expected one Content-Length, a whole number")
    if int(lengths[0]) > limit:
        raise _too_large(limit, int(lengths[0]))
    return int(lengths[0])


async def _read(receive: Receive, declared: int | None, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit, None)
        chunks.append(chunk)
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _late(message: str) -> BadRequest:
    # The rest would be taken for as long again, for nobody.
    return BadRequest(message, headers={"Connection": "close"})


def _too_large(limit: int, declared: int | None) -> PayloadTooLarge:
    came = "" if declared is None else f", got {declared}"
    ends = declared is not None and declared <= DROPPED_BYTES
    return PayloadTooLarge(
        f"expected a body of at most {limit} bytes{came}", headers={} if ends else {"Connection": "close"}
    )
