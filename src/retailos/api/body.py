"""The bytes of a request's body, taken within limits of size and time."""

import asyncio
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


class Disconnected(Exception):
    """The caller went away before its request was complete; nobody is left to answer."""


async def json_body(call: Call, limit: int) -> bytes:
    """Read the body of a request that says it is JSON.

    Raises UnsupportedMediaType, PayloadTooLarge, and BadRequest where it does not arrive in time.
    """
    check_media_type(call)
    declared = _declared(call, limit)
    if WHOLE in call.scope:
        return await _read(call.receive, declared, limit)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(call.receive, declared, limit)
    except TimeoutError:
        raise BadRequest(f"expected the body within {BODY_SECONDS:.0f} seconds") from None


def check_media_type(call: Call) -> None:
    """Refuse what is not plain JSON in UTF-8."""
    kinds = call.headers(b"content-type")
    if len(kinds) != 1 or not _is_json(kinds[0]):
        raise UnsupportedMediaType
    if any(each.strip().lower() != b"identity" for each in call.headers(b"content-encoding")):
        raise UnsupportedMediaType("expected a body without Content-Encoding, got an encoded one")


def check_acceptable(call: Call) -> None:
    """Refuse a caller that takes no JSON."""
    if not _takes_json(b",".join(call.headers(b"accept"))):
        raise NotAcceptable


# Callers send the same few words again and again.
@lru_cache(maxsize=200)
def _is_json(given: bytes) -> bool:
    kind, _, parameters = given.decode("latin-1").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"') if "charset=" in parameters else "utf-8"
    return kind.strip() == "application/json" and charset in ("utf-8", "utf8")


@lru_cache(maxsize=200)
def _takes_json(accepted: bytes) -> bool:
    ranges = [each.split(";")[0].strip() for each in accepted.decode("latin-1").lower().split(",") if each.strip()]
    # Who names the form of errors means to say how errors should look, and takes what a success looks like.
    return not ranges or any(each in ("*/*", "application/*", "application/json", PROBLEM_JSON) for each in ranges)


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


def _too_large(limit: int, declared: int | None) -> PayloadTooLarge:
    came = "" if declared is None else f", got {declared}"
    ends = declared is not None and declared <= DROPPED_BYTES
    return PayloadTooLarge(
        f"expected a body of at most {limit} bytes{came}", headers={} if ends else {"Connection": "close"}
    )
