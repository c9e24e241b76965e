"""The one shape of every response, in the guide's order of keys, and the headers that go with it."""

from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import msgspec
from starlette.types import Send

from retailos import __version__
from retailos.api.call import Answer, Call, Download
from retailos.errors import RetailOSError

encode = msgspec.json.Encoder(decimal_format="number").encode

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


def phrase(status: int) -> str:
    """The status in words: 200 is OK."""
    return _PHRASES.get(status, "Unknown")


async def send_answer(send: Send, call: Call, answer: Answer) -> None:
    """Send a success."""
    operation = call.operation
    message = operation.user_message if operation else phrase(answer.status)
    await _send(send, call, answer.status, message, None, answer.result, answer.headers)


async def send_download(send: Send, call: Call, download: Download) -> None:
    """Send a file as it is made; a failure on the way breaks it off, so that nobody takes a part for the whole."""
    kind = [
        (b"content-type", download.media_type.encode()),
        (b"content-disposition", f'attachment; filename="{download.name}"'.encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": [*standing_headers(call), *kind]})
    if call.scope["method"] != "HEAD":
        async for piece in download.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def send_error(send: Send, call: Call, error: RetailOSError) -> None:
    """Send an error, its result null."""
    fault = Fault(error.code, error.message, error.details)
    await _send(send, call, error.status, error.message, fault, b"null", error.headers)


async def _send(
    send: Send, call: Call, status: int, message: str, fault: Fault | None, result: bytes, headers: Any
) -> None:
    common = standing_headers(call)
    own = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    if status == HTTPStatus.NOT_MODIFIED:
        await send({"type": "http.response.start", "status": status, "headers": [*common, *own]})
        await send({"type": "http.response.body", "body": b""})
        return
    envelope = Envelope(
        status,
        phrase(status),
        message,
        fault,
        Meta(call.name, call.at),
        call.operation.action if call.operation else None,
        msgspec.Raw(result),
    )
    body = encode(envelope)
    kind = [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": [*common, *own, *kind]})
    await send({"type": "http.response.body", "body": b"" if call.scope["method"] == "HEAD" else body})


def standing_headers(call: Call) -> list[tuple[bytes, bytes]]:
    """The headers of every response."""
    return [
        (b"access-control-allow-origin", b"*"),
        (b"access-control-expose-headers", b"*"),
        (b"x-ra-request-id", call.name.encode()),
        (b"x-ra-request-timestamp", call.at.encode()),
        (b"x-ra-server-version", __version__.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
