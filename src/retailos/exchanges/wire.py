"""One exchange over a client: the request written, what is kept of the answer read, failures told apart."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final, Self

from pyreqwest.bytes import Bytes
from pyreqwest.client import Client
from pyreqwest.exceptions import (
    DecodeError,
    DetailedPyreqwestError,
    NetworkError,
    PoolTimeoutError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.http import HeaderMap, Url
from pyreqwest.response import Response

from retailos.exchanges.exchange import ANSWER_BYTES_KEPT, ErrorClass, Reply, Request

#: Headers of an answer that are kept, and their bytes together.
HEADERS_LIMIT: Final = 64
HEADER_BYTES_LIMIT: Final = 16 * 1024
DETAIL_LIMIT: Final = 200
#: Bytes of answers that a webhook's exchanges hold together as they come, unless what is kept of each is more: a part
#: of 128 KiB, where 16 are under way, tells that a thousand records were taken.
ANSWERS_BYTES_AT_ONCE: Final = 2 * 1024 * 1024
#: So many longer answers of a webhook are read to their end at once.
LONG_ANSWERS_AT_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class Room:
    """How much of their answers the exchanges of one webhook may hold together."""

    #: Bytes of a body that are read as they come; for what goes on beyond them it waits for its turn.
    at_once: int
    turns: asyncio.Semaphore

    @classmethod
    def of(cls, concurrency: int) -> Self:
        """The room for so many exchanges at once."""
        at_once = max(ANSWER_BYTES_KEPT, ANSWERS_BYTES_AT_ONCE // concurrency)
        return cls(at_once, asyncio.Semaphore(LONG_ANSWERS_AT_ONCE))


async def exchange(client: Client, request: Request, url: Url, started: float, deadline: float, room: Room) -> Reply:
    """Send a request over a client's connections; `started` and `deadline` are seconds of the monotonic clock."""
    limit = request.answer_bytes_most
    at_once = min(limit, room.at_once)
    try:
        outgoing = (
            client.request(request.method, url)
            .headers(request.headers)
            .body_bytes(request.body)
            .timeout(timedelta(seconds=max(deadline - monotonic(), 0.001)))
            .streamed_read_buffer_limit(at_once + 1)
            .build_streamed()
        )
    except ValueError:
        # The library's message repeats the header, which may be the webhook's credentials.
        detail = "the method or a header is not valid HTTP; correct the webhook"
        return failure(started, ErrorClass.INVALID_REQUEST, detail, sent=False)
    try:
        # Entering reads the head and as much of the body as the limit lets in, so the read never waits. Leaving is
        # spared where nothing is left to read: it costs a tenth of the whole exchange.
        response = await outgoing.__aenter__()
        parts = [await response.body_reader.read(at_once + 1) or b""]
        if (read := len(parts[0])) > at_once:
            try:
                parts += await _rest(response, limit + 1 - read, deadline, room)
            finally:
                await outgoing.__aexit__(None, None, None)
    except PyreqwestError as error:
        return _explained(error, started)
    except TimeoutError:
        return failure(started, ErrorClass.TIMEOUT, "the answer was too long to be read in time", sent=True)
    body, truncated = _joined(parts, limit)
    return Reply(
        at=datetime.now(UTC),
        milliseconds=(monotonic() - started) * 1000,
        status=response.status,
        headers=_headers(response.headers),
        body=body,
        truncated=truncated,
    )


async def _rest(response: Response, most: int, deadline: float, room: Room) -> Sequence[bytes | Bytes]:
    """What comes behind the part that was read at once, in its turn; TimeoutError if that does not come in time."""
    if not most:
        return ()
    async with asyncio.timeout(deadline - monotonic()), room.turns:
        return (await response.body_reader.read(most) or b"",)


def _joined(parts: Sequence[bytes | Bytes], limit: int) -> tuple[bytes, bool]:
    """The body, and whether it went on beyond the limit: then nobody reads it, and what is kept of it will do."""
    truncated = sum(map(len, parts)) > limit
    if truncated and limit > ANSWER_BYTES_KEPT:
        limit, parts = ANSWER_BYTES_KEPT, parts[:1]
    body = b"".join(parts)
    return body[:limit] if truncated else body, truncated


def _headers(headers: HeaderMap) -> tuple[tuple[str, str], ...]:
    try:
        pairs = list(headers.items())
    except ValueError:
        pairs = _readable(headers)
    kept, room = 0, HEADER_BYTES_LIMIT
    for name, value in pairs[:HEADERS_LIMIT]:
        room -= len(name) + len(value)
        if room < 0:
            break
        kept += 1
    return tuple(pairs[:kept])


def _readable(headers: HeaderMap) -> list[tuple[str, str]]:
    """The headers without those whose values are not ASCII, on which the library gives up altogether."""
    pairs: list[tuple[str, str]] = []
    for name in dict.fromkeys(headers):
        try:
            pairs.extend((name, value) for value in headers.getall(name))
        except ValueError:
            pairs.append((name, "(not ASCII)"))
    return pairs


def _explained(error: PyreqwestError, started: float) -> Reply:
    """Tell what kind of failure it was from the error's type and, where that does not tell, from its causes' texts."""
    details = error.details if isinstance(error, DetailedPyreqwestError) else {"causes": None}
    # The first cause names the URL, whose path is personal data.
    causes = [cause["message"] for cause in details["causes"] or ()][1:]
    detail = causes[-1] if causes else error.message
    connecting = "client error (Connect)" in causes
    error_class = _class_of(error, causes, detail.lower(), connecting=connecting)
    return failure(started, error_class, detail, sent=not connecting and not isinstance(error, PoolTimeoutError))


def _class_of(error: PyreqwestError, causes: list[str], detail: str, *, connecting: bool) -> ErrorClass:
    if isinstance(error, RequestTimeoutError) or "timed out" in detail:
        return ErrorClass.TIMEOUT
    if "received fatal alert" in detail:
        return ErrorClass.TLS_ERROR
    if connecting:
        return _class_of_connecting(causes, detail)
    if isinstance(error, DecodeError) and "end of file" not in detail:
        return ErrorClass.INVALID_ANSWER
    return ErrorClass.CONNECTION_RESET if isinstance(error, NetworkError | DecodeError) else ErrorClass.INVALID_ANSWER


def _class_of_connecting(causes: list[str], detail: str) -> ErrorClass:
    if "reset" in detail:
        return ErrorClass.CONNECTION_RESET
    if "dns error" in causes:
        return ErrorClass.DNS_ERROR
    return ErrorClass.CONNECTION_REFUSED if "tcp connect error" in causes else ErrorClass.TLS_ERROR


def failure(started: float, error_class: ErrorClass, detail: str, *, sent: bool) -> Reply:
    """The reply of an exchange that ended without an answer."""
    return Reply(
        at=datetime.now(UTC),
        milliseconds=(monotonic() - started) * 1000,
        error=error_class,
        detail=detail[:DETAIL_LIMIT],
        sent=sent,
    )
