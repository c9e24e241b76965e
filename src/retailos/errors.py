"""What can go wrong, as one family with one face: a class is a code and a status of the envelope.

    RetailOSError
    ├── BadRequest 400
    │   ├── ValidationFailed   every problem of a request at once
    │   ├── MalformedJson · MalformedFile
    │   ├── UnknownParameter
    │   ├── ExternalIdMismatch · IdMismatch · ReferenceConflict · CardDataForbidden
    │   └── OffsetTooLarge · InvalidCursor
    ├── Unauthorized 401 · Forbidden 403
    ├── ResourceNotFound 404 · RouteNotFound 404
    ├── MethodNotAllowed 405 · NotAcceptable 406
    ├── ExternalIdExists 409 · NotUnique 409 · DuplicateInBatch 409 · IdempotencyInProgress 409 · KeyRevoked 409
    ├── NotMergeable 409 · WrittenOnce 409
    ├── Merged 410 · CursorExpired 410 · LinkExpired 410
    ├── VersionConflict 412
    ├── PayloadTooLarge 413 · UriTooLong 414 · UnsupportedMediaType 415 · HeadersTooLarge 431
    ├── ReferenceNotFound 422 · IdempotencyKeyReused 422 · TooManyFailed 422 · SecretsRedirected 422
    ├── RateLimited 429 · Unavailable 503        with Retry-After
    └── Internal 500                              a defect of ours, never of the caller

A docstring is the default message. A message says what was expected, what came and what to do, and
never echoes a personal value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a request: where (a JSON pointer into it as sent), which rule, and what to do."""

    path: str
    code: str
    message: str


class RetailOSError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.details = dict(details or {})
        self.headers = dict(headers or {})
        super().__init__(self.message)

    @property
    def fault(self) -> dict[str, Any]:
        """The error as answers and jobs show it."""
        return {"code": self.code, "message": self.message, "details": self.details}


class BadRequest(RetailOSError):
    """The request can't be understood."""

    status = 400
    code = "BAD_REQUEST"


class ValidationFailed(BadRequest):
    """The request breaks the rules listed in details.errors; correct each of them and send it again."""

    code = "VALIDATION_ERROR"

    def __init__(self, problems: Iterable[Problem], message: str | None = None) -> None:
        self.problems = tuple(problems)
        errors = [{"path": p.path, "code": p.code, "message": p.message} for p in self.problems]
        super().__init__(message, details={"errors": errors})


class MalformedJson(BadRequest):
    """The body is not JSON; send one JSON object, encoded in UTF-8."""

    code = "MALFORMED_JSON"


class MalformedFile(BadRequest):
    """The file is not what it says it is; nothing of it was applied."""

    code = "MALFORMED_FILE"


class UnknownParameter(ValidationFailed):
    """The query has parameters that this route does not know; see details.errors."""

    code = "UNKNOWN_PARAMETER"


class ExternalIdMismatch(BadRequest):
    """The external id in the body differs from the one in the URL; send the same, or leave it out of the body."""

    code = "EXTERNAL_ID_MISMATCH"


class IdMismatch(BadRequest):
    """The id in the body is not the id of the record with this external id; leave it out, or send the record's own."""

    code = "ID_MISMATCH"


class ReferenceConflict(ValidationFailed):
    """A reference is given twice, by id and by nested object, and the two disagree; send one of them."""

    code = "REFERENCE_CONFLICT"


class CardDataForbidden(ValidationFailed):
    """The request holds the number of a payment card, which must not be sent; nothing of the request was kept."""

    code = "CARD_DATA_FORBIDDEN"


class OffsetTooLarge(BadRequest):
    """The offset is beyond the largest that is served; page on with cursor, or narrow the list with filters."""

    code = "OFFSET_TOO_LARGE"


class InvalidCursor(BadRequest):
    """The cursor is none of this list's; begin again without one, and follow nextCursor with the same parameters."""

    code = "INVALID_CURSOR"


class Unauthorized(RetailOSError):
    """Request unauthorized"""

    status = 401
    code = "UNAUTHORIZED"


class Forbidden(RetailOSError):
    """This key may not do that."""

    status = 403
    code = "FORBIDDEN"


class ResourceNotFound(RetailOSError):
    """There is no such record."""

    status = 404
    code = "RESOURCE_NOT_FOUND"


class RouteNotFound(RetailOSError):
    """There is no such route; the routes are listed at /v2/public/docs."""

    status = 404
    code = "ROUTE_NOT_FOUND"


class MethodNotAllowed(RetailOSError):
    """This route does not take that method; the header Allow lists those that it takes."""

    status = 405
    code = "METHOD_NOT_ALLOWED"


class NotAcceptable(RetailOSError):
    """Answers are application/json; send Accept: application/json, or leave it out."""

    status = 406
    code = "NOT_ACCEPTABLE"


class ExternalIdExists(RetailOSError):
    """A record with this external id exists already; PUT to its URL updates it."""

    status = 409
    code = "EXTERNAL_ID_EXISTS"


class NotUnique(ValidationFailed):
    """A value that must be unique is taken by another record; see details.errors."""

    status = 409
    code = "NOT_UNIQUE"


class DuplicateInBatch(RetailOSError):
    """An earlier record of this request has the same external id, or would have; send each once."""

    status = 409
    code = "DUPLICATE_IN_BATCH"


class IdempotencyInProgress(RetailOSError):
    """A request with this Idempotency-Key is being worked on; send it again a little later for its answer."""

    status = 409
    code = "IDEMPOTENCY_IN_PROGRESS"


class KeyRevoked(RetailOSError):
    """The key was revoked, which is for good; make a new one."""

    status = 409
    code = "KEY_REVOKED"


class NotMergeable(ValidationFailed):
    """These records can't be merged as they are by now; see details.errors."""

    status = 409
    code = "NOT_MERGEABLE"


class Merged(RetailOSError):
    """This record was merged into another, whose ids are in details; go by those from now on."""

    status = 410
    code = "MERGED"


class LinkExpired(RetailOSError):
    """The time of this link is over; with a key, the file can be had for as long as it is kept."""

    status = 410
    code = "LINK_EXPIRED"


class CursorExpired(RetailOSError):
    """Changes behind this cursor are not kept any more; load the lists anew, and go on from their changesCursor."""

    status = 410
    code = "CURSOR_EXPIRED"


class WrittenOnce(RetailOSError):
    """Such a record stays as it was first written, and this one differs; send it under an external id of its own."""

    status = 409
    code = "WRITTEN_ONCE"


class VersionConflict(RetailOSError):
    """The record is not at the version that If-Match names; read it again and decide anew."""

    status = 412
    code = "VERSION_CONFLICT"


class PayloadTooLarge(RetailOSError):
    """The body is larger than this route takes."""

    status = 413
    code = "PAYLOAD_TOO_LARGE"


class UriTooLong(RetailOSError):
    """The URL is longer than 8 KiB."""

    status = 414
    code = "URI_TOO_LONG"


class UnsupportedMediaType(RetailOSError):
    """The body must be application/json (a PATCH's may be a merge patch) in UTF-8, without a content encoding."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"


class ReferenceNotFound(ValidationFailed):
    """The record refers to records that do not exist; see details.errors. Send those first."""

    status = 422
    code = "REFERENCE_NOT_FOUND"


class SecretsRedirected(ValidationFailed):
    """Secrets that are kept would go to another host by this change; see details.errors. Send each of them anew."""

    status = 422
    code = "SECRETS_REDIRECTED"


class IdempotencyKeyReused(RetailOSError):
    """This Idempotency-Key was sent with another request before; make a new one for each request."""

    status = 422
    code = "IDEMPOTENCY_KEY_REUSED"


class TooManyFailed(RetailOSError):
    """More of the import's rows were refused than maxErrorRate allows, so the rest was not tried."""

    status = 422
    code = "TOO_MANY_FAILED"


class RateLimited(RetailOSError):
    """Too many requests; send again after the seconds in Retry-After."""

    status = 429
    code = "RATE_LIMITED"

    def __init__(self, message: str | None = None, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_seconds)})


class HeadersTooLarge(RetailOSError):
    """The request's headers are larger than 16 KiB together."""

    status = 431
    code = "HEADERS_TOO_LARGE"


class Internal(RetailOSError):
    """A defect on our side; nothing that you sent is at fault. Quote meta.requestId when you report it."""


class Unavailable(RetailOSError):
    """The service can't answer just now; send again after the seconds in Retry-After."""

    status = 503
    code = "UNAVAILABLE"

    def __init__(self, message: str | None = None, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_seconds)})


class ConfigurationError(Exception):
    """A setting, a command or this machine is not as the program needs it; the message says what to do."""
