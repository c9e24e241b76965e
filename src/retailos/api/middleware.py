"""The front door: every request gets its id and its limits here, every failure its envelope, so none leaves without."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import MappingProxyType

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retailos.api.body import Disconnected
from retailos.api.call import Answer, Call
from retailos.api.envelope import STANDING, send_answer, send_error, standing_headers
from retailos.declare.values import printed
from retailos.errors import (
    BadRequest,
    HeadersTooLarge,
    Internal,
    MethodNotAllowed,
    RetailOSError,
    RouteNotFound,
    UriTooLong,
)
from retailos.observe import describe, emit, wanted
from retailos.observe.process import DefectFound
from retailos.observe.requests import RequestAnswered
from retailos.records.identity import new_id

#: Longer URLs are cut by proxies; 8 KiB is what most of them take.
URL_BYTES = 8 * 1024
HEADER_BYTES = 16 * 1024
_TAGS = re.compile(rb'\*|(W/)?"[!#-~]*"(\s*,\s*(W/)?"[!#-~]*")*')
#: Headers that say for which state, or how often, a request counts, and the form that they must have (RFC 9110): one
#: that were not understood would be believed to work.
_FORMS = MappingProxyType(
    {b"if-match": _TAGS, b"if-none-match": _TAGS, b"idempotency-key": re.compile(rb"[!-~]{1,255}")}
)
_TAG_OF_AN_ANSWER = 'the ETag of an answer, in its quotes, such as "3", or *'
_WHAT = MappingProxyType(
    {
        b"if-match": _TAG_OF_AN_ANSWER,
        b"if-none-match": _TAG_OF_AN_ANSWER,
        b"idempotency-key": "1 to 255 visible characters of ASCII",
    }
)


class FrontDoor:
    """The outermost ASGI application of the API."""

    def __init__(self, app: ASGIApp, admit: Callable[[Call], None] | None = None) -> None:
        """Answer what `admit` does not refuse; None, and nobody asks where a request comes from."""
        self._app, self._admit = app, admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever becomes of it."""
        if scope["type"] != "http":
            raise LookupError(f"expected an http scope, got {scope['type']}")
        started = time.perf_counter()
        call = Call(scope=scope, receive=receive, request_id=new_id(), at=printed(datetime.now(UTC)))
        sent = Sent(send, call)
        try:
            await self._answer(scope, receive, sent, call)
        except Disconnected:
            return
        except RetailOSError as error:
            await send_error(sent, call, error)
        except HTTPException as error:
            await send_error(sent, call, _of_the_router(error))
        except Exception as error:
            emit(DefectFound(request_id=call.name, error=describe(error)))
            if call.status:
                raise
            await send_error(sent, call, Internal())
        if wanted(RequestAnswered):
            _observe(call, started)

    async def _answer(self, scope: Scope, receive: Receive, send: "Sent", call: Call) -> None:
        raw_path = scope["raw_path"]
        _check_limits(scope, raw_path)
        if self._admit is not None:
            self._admit(call)
        # Segments are decoded after routing, so that `a%2Fb` is one external id and not two segments.
        routed = {**scope, "path": raw_path.decode("ascii"), "root_path": "", "app": self, "retailos.call": call}
        try:
            await self._app(routed, receive, send)
        except HTTPException as error:
            # No route takes OPTIONS itself; the router's refusal names the methods that the path takes.
            if scope["method"] != "OPTIONS" or error.status_code != MethodNotAllowed.status:
                raise
            await send_answer(send, call, Answer(b"null", headers=_preflight((error.headers or {}).get("Allow", ""))))


#: The headers that an operation may be asked with, besides those that browsers always send.
_ASKED_WITH = "Authorization, Content-Type, Accept, If-Match, If-None-Match, Prefer, Idempotency-Key, Last-Event-ID"


def _preflight(methods: str) -> dict[str, str]:
    """What a browser wants to know before it calls a path that takes these methods."""
    allowed = f"{methods}, OPTIONS"
    return {
        "Allow": allowed,
        "Access-Control-Allow-Methods": allowed,
        "Access-Control-Allow-Headers": _ASKED_WITH,
        "Access-Control-Max-Age": "600",
    }


class Sent:
    """The way out: what passes gets the headers of every response, and its status is remembered."""

    def __init__(self, send: Send, call: Call) -> None:
        self._send, self._call = send, call

    async def __call__(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            self._call.status = message["status"]
            # What was written in the envelope begins with them.
            if STANDING not in message["headers"][:1]:
                given = {name.lower() for name, _ in message["headers"]}
                own = [pair for pair in standing_headers(self._call) if pair[0] not in given]
                message = {**message, "headers": [*message["headers"], *own]}
        await self._send(message)


def _check_limits(scope: Scope, raw_path: bytes) -> None:
    if scope["http_version"] not in ("1.1", "1.0"):
        raise BadRequest("expected HTTP/1.1, got another version of it", headers={"Connection": "close"})
    if len(raw_path) + len(scope["query_string"]) > URL_BYTES:
        raise UriTooLong
    size = hosts = 0
    for name, value in scope["headers"]:
        size += len(name) + len(value) + 4
        if name == b"host":
            hosts += 1
        elif name == b"expect" and value.lower() != b"100-continue":
            raise BadRequest("expected no Expect but 100-continue")
        elif name in _FORMS and not _FORMS[name].fullmatch(value):
            raise BadRequest(f"expected {name.decode().title()} to hold {_WHAT[name]}, got something else")
    if size > HEADER_BYTES:
        raise HeadersTooLarge
    if not raw_path.isascii() or b"%00" in raw_path:
        raise BadRequest("expected a path of percent-encoded UTF-8 without NUL")
    if hosts != 1 and scope["http_version"] != "1.0":
        raise BadRequest("expected one header Host")


def _of_the_router(error: HTTPException) -> RetailOSError:
    headers = dict(error.headers or {})
    if error.status_code == MethodNotAllowed.status:
        return MethodNotAllowed(headers=headers)
    return RouteNotFound() if error.status_code == RouteNotFound.status else Internal()


def _observe(call: Call, started: float) -> None:
    emit(
        RequestAnswered(
            method=call.scope["method"],
            route=call.operation.path if call.operation else "",
            status=call.status,
            milliseconds=(time.perf_counter() - started) * 1000,
            request_id=call.name,
        )
    )
