"""One exchange over a client: the request written, what is kept of the answer read, failures told apart."""

from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

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

from retailos.exchanges.exchange import ErrorClass, Reply, Request

#: Headers of an answer that are kept, and their bytes together.
HEADERS_LIMIT: Final = 64
HEADER_BYTES_LIMIT: Final = 16 * 1024
DETAIL_LIMIT: Final = 200


async def exchange(client: Client, request: Request, url: Url, started: float, deadline: float) -> Reply:
    """Send a request over a client's connections; `started` and `deadline` are seconds of the monotonic clock."""
    limit = request.answer_bytes_most
    try:
        outgoing = (
            client.request(request.method, url)
            .headers(request.headers)
            .body_bytes(request.body)
            .timeout(timedelta(seconds=max(deadline - monotonic(), 0.001)))
            .streamed_read_buffer_limit(limit + 1)
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
        body = await response.body_reader.read(limit + 1)
        truncated = body is not None and len(body) > limit
        if truncated:
            await outgoing.__aexit__(None, None, None)
    except PyreqwestError as error:
        return _explained(error, started)
    return Reply(
        at=datetime.now(UTC),
        milliseconds=(monotonic() - started) * 1000,
        status=response.status,
        headers=_headers(response.headers),
        body=body.to_bytes()[:limit] if body else b"",
        truncated=truncated,
    )


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
