"""One HTTP exchange with another system, as values: what is asked, what came back, and what can go wrong."""

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

#: Bytes of an answer's body that are kept, and read where nothing else is said; the rest is not read.
ANSWER_BYTES_KEPT: Final = 64 * 1024


class ErrorClass(StrEnum):
    """Why a delivery was not acknowledged, as the code that attempts, filters and reports carry."""

    HTTP_4XX = "http_4xx"
    #: 408, 425 or 429: not now, and later perhaps (RFC 9110, 8470 and 6585).
    HTTP_LATER = "http_later"
    HTTP_5XX = "http_5xx"
    TIMEOUT = "timeout"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_RESET = "connection_reset"
    DNS_ERROR = "dns_error"
    TLS_ERROR = "tls_error"
    BLOCKED_ADDRESS = "blocked_address"
    INVALID_BATCH_ANSWER = "invalid_batch_answer"
    #: The answer to a batch names the record with an error.
    RECORD_REFUSED = "record_refused"
    REDIRECT = "redirect"
    #: What came back is not HTTP, or breaks its rules.
    INVALID_ANSWER = "invalid_answer"
    #: No token for the receiver could be had where the webhook's credentials ask for one; nothing was sent.
    TOKEN_ERROR = "token_error"  # noqa: S105 - the name of an error
    #: What was to be sent is not HTTP: the webhook's URL or one of its headers can't be written down.
    INVALID_REQUEST = "invalid_request"


_LATER: Final = frozenset({408, 425, 429})


def class_of_status(status: int) -> ErrorClass | None:
    """The class of a status, None for a 2xx; what HTTP does not define counts as 5xx, as RFC 9110 has it."""
    match status // 100:
        case 2:
            return None
        case 3:
            return ErrorClass.REDIRECT
        case 4:
            return ErrorClass.HTTP_LATER if status in _LATER else ErrorClass.HTTP_4XX
        case _:
            return ErrorClass.HTTP_5XX


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it goes out: the URL is rendered, the headers are complete, the body is the bytes signed."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    #: From the first look-up of the host to the last byte of the answer.
    timeout_seconds: float = 30.0
    #: Bytes of the answer's body that are read.
    answer_bytes_most: int = ANSWER_BYTES_KEPT
    #: What signatures call it: the same for each attempt at the same content.
    message_id: str = ""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one request: a status with its headers and body, or else an error.

    An answer that breaks off before its end is no answer: `status` is None and `error` says how it ended.
    """

    #: When the exchange ended, in UTC by this machine's clock.
    at: datetime
    milliseconds: float
    status: int | None = None
    #: In the order received, names in lower case.
    headers: tuple[tuple[str, str], ...] = ()
    #: As received: never decompressed, never decoded.
    body: bytes = b""
    #: The body went on beyond what is read.
    truncated: bool = False
    error: ErrorClass | None = None
    #: A short sentence for people, without the URL (its path may hold an external id).
    detail: str = ""
    #: Whether the other side may have got the request; False only where that is certain.
    sent: bool = True

    def header(self, name: str) -> str | None:
        """The first value of a header; `name` in lower case."""
        return next((value for key, value in self.headers if key == name), None)
