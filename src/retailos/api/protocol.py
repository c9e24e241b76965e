"""The HTTP/1.1 server's protocol with our limits: what is no HTTP gets the envelope too, and what is slow an end."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import msgspec
from starlette.types import Message, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from retailos import __version__
from retailos.api.body import BODY_SECONDS, WHOLE
from retailos.api.envelope import AT_ONCE, Envelope, Fault, Meta, encode, phrase
from retailos.declare.values import printed
from retailos.errors import BadRequest, HeadersTooLarge, RetailOSError, UriTooLong
from retailos.observe import emit
from retailos.observe.requests import RequestRefusedByProtocol
from retailos.records.identity import new_id

#: A request's head is a few hundred bytes; whoever needs longer for them holds a connection on purpose.
HEAD_SECONDS = 10.0
#: TLS begins with two messages of each side.
HANDSHAKE_SECONDS = 10.0
#: A connection on which nothing is asked for so long is closed.
IDLE_SECONDS = 15.0
#: What the parser may be fed before it knows the head's end: URL, headers and a little more.
HEAD_BYTES = 32 * 1024
#: Trailers may be as long as headers; nobody reads them.
TRAILER_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long, in seconds, a connection is waited for."""

    handshake: float = HANDSHAKE_SECONDS
    head: float = HEAD_SECONDS
    #: For the rest of a body whose request has its answer.
    rest: float = BODY_SECONDS
    idle: float = IDLE_SECONDS


PATIENCE = Patience()


class EnvelopeProtocol(HttpToolsProtocol):
    """uvicorn's protocol, answering what it can't parse in the envelope.

    A connection has one time limit at once, but for the time in which an answer is being made: for a head; behind an
    answer, for the rest of a body that nobody reads; or for the next request. Bytes that are none of these extend none.
    """

    #: Whether the parser is within a head; what it tells of as headers elsewhere are trailers.
    _head_begun = False
    _timer: asyncio.TimerHandle | None = None
    #: What came since a head, a piece of a body or a message ended, in whole pieces: what the parser may have to keep.
    _unended_bytes = 0
    _trailer_bytes = 0
    #: What is wrong with a request that the parser is stopped at.
    _unfit: RetailOSError | None = None
    _refusal: RetailOSError | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        patience: Patience = PATIENCE,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._patience, self.timeout_keep_alive = patience, patience.idle  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request's head."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Refuse a head, or trailers, that do not end."""
        self._unended_bytes += len(data)
        super().data_received(data)
        if self._unended_bytes > HEAD_BYTES:
            self._refuse(HeadersTooLarge())
        elif self._head_begun and self._timer is None:
            self._await_head()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Refuse a request whose end can't come any more; what came whole is answered before the connection closes."""
        if self._head_begun or self._is_reading():
            self._refuse(BadRequest("expected a whole request, got its beginning"))
        elif self._is_answering():
            # The last of them, behind whose answer nothing can come.
            self.cycle.keep_alive = False
        # Whoever ends TLS hears nothing any more; and a stream may have no end but that its reader goes away.
        return self._is_answering() and self.scheme != "https" and not self.cycle.chunked_encoding

    def on_message_begin(self) -> None:
        """Take note of a head that has begun; most end in the same piece of data, and need no timer."""
        super().on_message_begin()
        self._stop_timer()
        self._head_begun, self._trailer_bytes = True, 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the URL, which can't be parsed when it is far too long."""
        super().on_url(url)
        if len(self.url) > HEAD_BYTES:
            self._unfit = UriTooLong()
            raise self._unfit

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, and pass over a trailer: what stands behind a body must decide nothing (RFC 9110, 6.5.1)."""
        if self._head_begun:
            super().on_header(name, value)
            return
        self._trailer_bytes += len(name) + len(value) + 4
        if self._trailer_bytes > TRAILER_BYTES:
            self._unfit = HeadersTooLarge("The request's trailers are larger than 16 KiB together.")
            raise self._unfit

    def on_headers_complete(self) -> None:
        """Go on with a request whose head is here."""
        self._head_arrived()
        super().on_headers_complete()
        if self.scope["http_version"] == "1.0":
            self.cycle.send = partial(send_unchunked, self.cycle, cast(Send, self.cycle.send))  # type: ignore[method-assign]
        self.scope[AT_ONCE] = partial(self._answer_at_once, self.cycle)  # type: ignore[literal-required]

    def on_body(self, body: bytes) -> None:
        """Take note that what came is no head and no trailer."""
        self._unended_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Tell that the body is here whole, before anybody has begun to read it."""
        self._unended_bytes = 0
        self.scope[WHOLE] = True  # type: ignore[literal-required]
        super().on_message_complete()
        if self.cycle.response_complete:
            self._stop_timer()
            self._timer = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def on_response_complete(self) -> None:
        """Go on to the next request, or to the refusal that waited for this answer."""
        super().on_response_complete()
        # uvicorn would stop its timer at the first byte that comes, whatever that belongs to.
        idle, self.timeout_keep_alive_task = self.timeout_keep_alive_task, None
        if self._refusal is not None:
            self._refuse(self._refusal)
        if idle is None:
            return
        if self._timer is None and not self._is_unread():
            self._timer = idle
            return
        idle.cancel()
        if self._timer is None:
            self._timer = self.loop.call_later(self._patience.rest, self.timeout_keep_alive_handler)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or more of it than is taken."""
        self._refuse(self._unfit or BadRequest("expected HTTP/1.1, got something else"))

    def _answer_at_once(
        self, cycle: RequestResponseCycle, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes
    ) -> bool:
        """Write a whole response, and tell whether that could be done: else it is to be sent by ASGI's messages.

        These look at every header again, which costs more than all the rest of them. Left to them is what is rare: a
        caller that does not read, a connection that is to be closed, and headers that hold the end of a line.
        """
        lines = [b"%b: %b\r\n" % pair for pair in (*self.server_state.default_headers, *headers)]
        head = b"".join(lines)
        if self.flow.write_paused or cycle.disconnected or not cycle.keep_alive or len(head.splitlines()) != len(lines):
            return False
        cycle.response_started = cycle.response_complete = True
        self.transport.write(b"".join((STATUS_LINE[status], head, b"\r\n", body)))
        cycle.message_event.set()
        cycle.on_response()
        return True

    def _await_head(self) -> None:
        seconds = self._patience.head
        late = BadRequest(f"expected the headers within {seconds:.0f} seconds")
        self._timer = self.loop.call_later(seconds, self._refuse, late)

    def _head_arrived(self) -> None:
        self._head_begun, self._unended_bytes = False, 0
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_reading(self) -> bool:
        """Whether a request is being answered whose body has not come to its end."""
        return self.cycle is not None and self.cycle.more_body and not self.cycle.response_complete

    def _is_answering(self) -> bool:
        """Whether there are requests that came whole and are not answered."""
        return bool(self.pipeline) or (
            self.cycle is not None and not self.cycle.response_complete and not self._is_reading()
        )

    def _is_unread(self) -> bool:
        """Whether a request has its answer and has not come to its end, so that nothing more may be said of it."""
        return self.cycle is not None and self.cycle.response_complete and WHOLE not in self.cycle.scope

    def _refuse(self, error: RetailOSError) -> None:
        self._head_arrived()
        if self.transport.is_closing():
            return
        if self._is_answering():
            # What came whole is answered first, or its caller would take this for the answer.
            self._refusal = error
            return
        if self._is_reading():
            # Whoever waits for the rest of the body must not take what came of it for the whole.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        emit(RequestRefusedByProtocol(status=error.status, reason=error.message))
        if not self._is_unread():
            self.transport.write(refusal(error))
        self.transport.close()


async def send_unchunked(cycle: RequestResponseCycle, send: Send, message: Message) -> None:
    """Send to a caller of HTTP/1.0, which knows no chunks: what has no length ends where its connection does."""
    if message["type"] == "http.response.start":
        if all(name.lower() != b"content-length" for name, _ in message["headers"]):
            cycle.chunked_encoding = False
    elif cycle.expected_content_length == 0:
        # uvicorn counts what is left to be sent, and all of it is in this message.
        cycle.expected_content_length = len(message.get("body", b""))
    await send(message)


def refusal(error: RetailOSError) -> bytes:
    """Write a whole HTTP response with an error in the envelope."""
    request_id, at = str(new_id()), printed(datetime.now(UTC))
    fault = Fault(error.code, error.message, error.details)
    meta = Meta(request_id, at)
    status = phrase(error.status)
    body = encode(Envelope(error.status, status, error.message, fault, meta, None, msgspec.Raw(b"null")))
    head = (
        f"HTTP/1.1 {error.status} {status}\r\n"
        "content-type: application/json; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\n"
        "access-control-allow-origin: *\r\n"
        f"x-ra-request-id: {request_id}\r\n"
        f"x-ra-request-timestamp: {at}\r\n"
        f"x-ra-server-version: {__version__}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body
