"""The one shape of every response, in the guide's order of keys, and the headers that go with it.

Whoever names `application/problem+json` in Accept gets errors in that form (RFC 9457) instead.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import msgspec
from starlette.types import Send

from retailos import __version__
from retailos.api.call import Answer, Call
from retailos.errors import RetailOSError

encode = msgspec.json.Encoder(decimal_format="number").encode

#: The first of the headers of every response.
STANDING = (b"access-control-allow-origin", b"*")
#: Stands in the scope of a request: writes a response of this status, these headers and this body, unless it can't.
AT_ONCE = "retailos.at_once"
PROBLEM_JSON = "application/problem+json"

_JSON = b"application/json; charset=utf-8"
_PROBLEM = PROBLEM_JSON.encode()
_PHRASES = MappingProxyType({status.value: status.phrase for status in HTTPStatus})


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    """Which request this answers; the same values stand in the headers."""

    request_id: str
    request_timestamp: str


class Fault(msgspec.Struct, frozen=True):
    """What went wrong."""

    code: str
    message: str
    details: dict[str, Any]


class Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """The guide's long envelope (its section 7), whatever the status."""

    status_code: int
    status_message: str
    user_message: str
    error: Fault | None
    meta: Meta
    action: str | None
    result: msgspec.Raw


class ProblemDetails(msgspec.Struct, frozen=True):
    """An error as RFC 9457 writes it; `code` and `details` are those of the envelope's error."""

    type: str
    title: str
    status: int
    detail: str
    #: The request's id as a URN.
    instance: str
    code: str
    details: dict[str, Any]


def phrase(status: int) -> str:
    """The status in words: 200 is OK."""
    return _PHRASES.get(status, "Unknown")


async def send_answer(send: Send, call: Call, answer: Answer) -> None:
    """Send a success."""
    if answer.status == HTTPStatus.NOT_MODIFIED:
        await _send(send, call, answer.status, answer.headers, None)
        return
    operation = call.operation
    message = operation.user_message if operation else phrase(answer.status)
    body = _enveloped(call, answer.status, message, None, answer.result)
    await _send(send, call, answer.status, answer.headers, body)


async def send_error(send: Send, call: Call, error: RetailOSError) -> None:
    """Send an error: in the envelope, its result null, or as a problem where the caller asked for that."""
    fault = Fault(error.code, error.message, error.details)
    if _wants_problems(call):
        body, kind = encode(problem_details(error.status, fault, call.name)), _PROBLEM
    else:
        body, kind = _enveloped(call, error.status, error.message, fault, b"null"), _JSON
    await _send(send, call, error.status, error.headers, body, kind)


def problem_details(status: int, fault: Fault, request_id: str) -> ProblemDetails:
    """Write an error in the words of RFC 9457; its type leads to where the codes are documented."""
    return ProblemDetails(
        type=f"/v2/public/docs#{fault.code}",
        title=phrase(status),
        status=status,
        detail=fault.message,
        instance=f"urn:uuid:{request_id}",
        code=fault.code,
        details=fault.details,
    )


def _wants_problems(call: Call) -> bool:
    ranges = b",".join(call.headers(b"accept")).lower().split(b",")
    return any(each.partition(b";")[0].strip() == _PROBLEM for each in ranges)


def _enveloped(call: Call, status: int, message: str, fault: Fault | None, result: bytes) -> bytes:
    action = call.operation.action if call.operation else None
    meta, raw = Meta(call.name, call.at), msgspec.Raw(result)
    return encode(Envelope(status, phrase(status), message, fault, meta, action, raw))


async def _send(
    send: Send, call: Call, status: int, headers: Mapping[str, str], body: bytes | None, kind: bytes = _JSON
) -> None:
    """Send a response; without a body it has no headers of one either."""
    own = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    if body is not None:
        own += [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    lines, content = [*standing_headers(call), *own], b"" if call.scope["method"] == "HEAD" else body or b""
    # Taken out: a way from the request back to its connection is a circle, which only a search of all objects undoes.
    at_once = call.scope.pop(AT_ONCE, None)
    if at_once and "Connection" not in headers and at_once(status, lines, content):
        call.status = status
        return
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": content})


def standing_headers(call: Call) -> list[tuple[bytes, bytes]]:
    """The headers of every response."""
    return [
        STANDING,
        (b"access-control-expose-headers", b"*"),
        (b"x-ra-request-id", call.name.encode()),
        (b"x-ra-request-timestamp", call.at.encode()),
        (b"x-ra-server-version", __version__.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *call.rate,
    ]
