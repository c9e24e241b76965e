"""How the played system answers a request, and the bytes of that."""

from dataclasses import dataclass
from http.client import responses
from typing import Final

OK_BODY: Final = b'{"error": null}'
ERROR_BODY: Final = b'{"error": {"code": "REFUSED", "message": "This receiver was told to refuse", "details": []}}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How one request is answered: a status after a delay, or no answer at all."""

    status: int = 200
    #: None is the guide's answer to a success or a failure, whichever the status is; of a batch, one for each record.
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    delay_seconds: float = 0.0
    #: Seconds to ask for in Retry-After.
    retry_after: int | None = None
    #: The share of requests, from 0 to 1 and evenly spread, that get `fail_status` instead.
    fail_ratio: float = 0.0
    fail_status: int = 503
    #: The share of a batch's records, from 0 to 1 and evenly spread, that are answered with an error.
    refuse_ratio: float = 0.0
    #: Close the connection without an answer.
    drop: bool = False
    #: Reset the connection without an answer.
    reset: bool = False
    #: Keep the connection open and never answer.
    hang: bool = False


def answer_of(behaviour: Behaviour) -> bytes:
    """Write the answer as it goes over the wire."""
    status = behaviour.status
    body = behaviour.body
    if body is None:
        body = OK_BODY if status < 400 else ERROR_BODY
    headers = [("Content-Type", "application/json"), *behaviour.headers]
    if behaviour.retry_after is not None:
        headers.append(("Retry-After", str(behaviour.retry_after)))
    if status in (204, 304):
        body = b""
    else:
        headers.append(("Content-Length", str(len(body))))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} {responses.get(status, '')}\r\n{lines}\r\n".encode("latin-1") + body
