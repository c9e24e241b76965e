"""The HTTP/1.1 server's protocol with our limits: what is no HTTP gets the envelope too, and slow headers a limit."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from retailos import __version__
from retailos.api.body import WHOLE
from retailos.api.envelope import AT_ONCE, Envelope, Fault, Meta, encode, phrase
from retailos.declare.values import printed
from retailos.errors import BadRequest, HeadersTooLarge, RetailOSError
from retailos.observe import emit
from retailos.observe.requests import RequestRefusedByProtocol
from retailos.records.identity import new_id

#: A request's head is a few hundred bytes; whoever needs longer for them holds a connection on purpose.
HEAD_SECONDS = 10.0
#: What the parser may be fed before it knows the head's end: URL, headers and a little more.
HEAD_BYTES = 32 * 1024
#: Trailers may be as long as headers; nobody reads them.
TRAILER_BYTES = 16 * 1024


class EnvelopeProtocol(HttpToolsProtocol):
    """uvicorn's protocol, answering what it can't parse in the envelope."""

    #: Whether the parser is within a head; what it tells of as headers elsewhere are trailers.
    _head_begun = False
    _head_timer: asyncio.TimerHandle | None = None
    #: What came since a head, a piece of a body or a message ended, in whole pieces: what the parser may have to keep.
    _unended_bytes = 0
    _trailer_bytes = 0
    #: What is wrong with a request that the parser is stopped at.
    _unfit: RetailOSError | None = None
    _refusal: RetailOSError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request's head."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Refuse a head, or trailers, that do not end."""
        self._unended_bytes += len(data)
        super().data_received(data)
        if self._unended_bytes > HEAD_BYTES:
            self._refuse(HeadersTooLarge())
        elif self._head_begun and self._head_timer is None:
            self._await_head()

    def eof_received(self) -> None:
        """Refuse a request whose end can't come any more."""
        if self._head_begun or self._is_reading():
            self._refuse(BadRequest("expected a whole request, got its beginning"))

    def on_message_begin(self) -> None:
        """Take note of a head that has begun; most end in the same piece of data, and need no timer."""
        super().on_message_begin()
        self._head_begun, self._trailer_bytes = True, 0

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

    def on_response_complete(self) -> None:
        """Go on to the next request, or to the refusal that waited for this answer."""
        super().on_response_complete()
        if self._refusal is not None:
            self._refuse(self._refusal)

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
        self._head_timer = self.loop.call_later(
            HEAD_SECONDS, self._refuse, BadRequest(f"expected the headers within {HEAD_SECONDS:.0f} seconds")
        )

    def _head_arrived(self) -> None:
        self._head_begun, self._unended_bytes = False, 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _is_reading(self) -> bool:
        """Whether a request is being answered whose body has not come to its end."""
        return self.cycle is not None and self.cycle.more_body and not self.cycle.response_complete

    def _is_answered(self) -> bool:
        """Whether a request has its answer and has not come to its end, so that nothing more may be said of it."""
        return self.cycle is not None and self.cycle.response_complete and WHOLE not in self.cycle.scope

    def _refuse(self, error: RetailOSError) -> None:
        self._head_arrived()
        if self.transport.is_closing():
            return
        reading = self._is_reading()
        if self.pipeline or (self.cycle is not None and not self.cycle.response_complete and not reading):
            # What came whole is answered first, or its caller would take this for the answer.
            self._refusal = error
            return
        if reading:
            # Whoever waits for the rest of the body must not take what came of it for the whole.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        emit(RequestRefusedByProtocol(status=error.status, reason=error.message))
        if not self._is_answered():
            self.transport.write(refusal(error))
        self.transport.close()


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
