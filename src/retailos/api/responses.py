"""Responses as they are documented: of success, of every error, and the headers that go with them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from retailos.api import examples
from retailos.api.body import EVENTS
from retailos.api.call import Further, Operation
from retailos.api.envelope import PROBLEM_JSON
from retailos.api.schemas import enveloped, error_family, ref

#: What every route can answer besides its success.
_ALWAYS = (400, 401, 403, 406, 414, 429, 431, 500, 503)
#: What a route that takes a body can answer too.
_WITH_BODY = (413, 415)

_STANDING = ("X-Ra-Request-Id", "X-Ra-Request-Timestamp", "X-Ra-Server-Version")
#: On what a key was let in for, where its requests are limited.
_LIMITED = ("RateLimit", "RateLimit-Policy")
#: What is refused before a key is looked at, or for want of one.
_BEFORE_KEYS = (401, 405, 406, 414, 431)
_LATER = ("Retry-After",)
_OF_ERRORS = MappingProxyType({401: ("WWW-Authenticate",), 405: ("Allow",), 429: _LATER, 503: _LATER})
_HEADERS = MappingProxyType(
    {
        "X-Ra-Request-Id": ("Names this request; quote it when you report a failure.", "uuid"),
        "X-Ra-Request-Timestamp": ("When the request arrived.", "date-time"),
        "X-Ra-Server-Version": ("The version of the server.", ""),
        "RateLimit": (
            "What is left of the key's requests (`r`), and the seconds until it has all of them again (`t`).",
            "",
        ),
        "RateLimit-Policy": (
            "How many requests a key may make at once (`q`), and in how many seconds it has them again (`w`).",
            "",
        ),
        "Link": ('The next page, where there is one: `</v2/public/…?cursor=…>; rel="next"` (RFC 8288).', ""),
        "Idempotency-Replayed": ("`true` where the request came before, and this is the answer that it had.", ""),
        "Content-Disposition": ("What the file is called by whoever keeps it.", ""),
        "ETag": ("The record's version, in double quotes.", ""),
        "Preference-Applied": ("`respond-async`: it is accepted, and written soon.", ""),
        "Location": ("The URL of what was made.", "uri-reference"),
        "Retry-After": ("The seconds to wait before sending again.", ""),
        "WWW-Authenticate": ("The scheme to authorise with.", ""),
        "Allow": ("The methods that the route takes.", ""),
    }
)
#: The headers of what is sent to webhooks: what each says, and what it is like.
TOLD_HEADERS = MappingProxyType(
    {
        "X-Ra-Request-Id": ("Names this attempt.", "a1dba900-4d6f-4cd5-aea9-db8a3e07d3f5"),
        "X-Ra-Delivery-Id": (
            "Names what this webhook is owed of this record: the same for every attempt and version.",
            examples.DELIVERY_ID,
        ),
        "X-Ra-Batch-Size": ("How many records a batch has.", "1"),
        "X-Ra-Attempt": ("Which attempt it is, from 1.", "1"),
        "X-Ra-Record-Version": ("The record's version: drop what is lower than what you have.", "7"),
        "X-Ra-Resource": ("The resource.", "customer"),
        "X-Ra-Change": (
            "`created` if you never acknowledged the record, else `updated`, `deleted`, `anonymised` or `merged`.",
            "updated",
        ),
        "traceparent": ("W3C trace context.", "00-a1dba9004d6f4cd5aea9db8a3e07d3f5-aea9db8a3e07d3f5-01"),
    }
)


_EVENTS: Mapping[str, Any] = MappingProxyType(
    {
        EVENTS: {
            "schema": {
                "type": "string",
                "description": "Server-sent events named `change`: the data is a row, the id the cursor behind it.",
            },
            "example": 'id: c1042.7.5f3a90c1\nevent: change\ndata: {"resource":"customer"}\n\n',
        }
    }
)


def responses(operation: Operation, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Document every status that an operation can answer; `schemas` are the document's, with their examples."""
    status, *own = operation.statuses
    errors = {*_ALWAYS, *own, *(_WITH_BODY if operation.body else ())}
    failures = {str(each): {"$ref": f"#/components/responses/Error{each}"} for each in sorted(errors)}
    further = {str(each.status): _further(operation, each, schemas) for each in operation.also}
    success = _success(operation, status, operation.result, operation.user_message, schemas)
    return {str(status): success} | further | failures


def standing_components() -> dict[str, Any]:
    """What every document has besides schemas: the errors, the headers, and the ways to authorise."""
    statuses = sorted({each.status for each in error_family()})
    return {
        "responses": {f"Error{status}": _failure(status) for status in statuses},
        "headers": {name: _header(*told) for name, told in _HEADERS.items()},
        "parameters": {name: _told_header(name, *told) for name, told in TOLD_HEADERS.items()},
        "securitySchemes": {
            "apiKey": {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "`API_KEY <your api key here>`",
            },
            "bearer": {"type": "http", "scheme": "bearer", "description": "The same key, as most programs send it."},
        },
    }


def example(one: list[Any]) -> dict[str, Any]:
    """Show the first of the examples, where there is one."""
    return {"example": one[0]} if one else {}


def _success(operation: Operation, status: int, result: str, said: str, schemas: Mapping[str, Any]) -> dict[str, Any]:
    given = {kind: _EVENTS.get(kind) or examples.file(kind, refused=True) for kind in operation.gives}
    if result or not given:
        results = _results(operation, status, result, schemas)
        answers = [examples.success(status, operation.user_message, operation.action, each) for each in results]
        schema = ref(f"{result}Envelope") if result else enveloped({"type": "null"})
        given = {"application/json": {"schema": schema, **example(answers)}} | given
    return {
        "description": said,
        "headers": _headers((*_STANDING, *_LIMITED, *_own_headers(operation, status))),
        "content": given,
    }


def _further(operation: Operation, further: Further, schemas: Mapping[str, Any]) -> dict[str, Any]:
    if further.result:
        return _success(operation, further.status, further.result, further.when, schemas)
    return {
        "description": further.when,
        "headers": _headers((*_STANDING, *_own_headers(operation, further.status))),
    }


def _results(operation: Operation, status: int, result: str, schemas: Mapping[str, Any]) -> list[Any]:
    """The examples of what the envelope holds."""
    if not result:
        return [None]
    if operation.resource and result == "JobQueueMetaList":
        accepted = status == HTTPStatus.ACCEPTED
        return [[examples.queued(operation.resource) if accepted else examples.job(operation.resource)]]
    found: list[Any] = schemas[result].get("examples", [])
    return found


def _own_headers(operation: Operation, status: int) -> Iterator[str]:
    if status == HTTPStatus.ACCEPTED:
        yield "Location" if operation.takes else "Preference-Applied"
    elif operation.resource and not {"list", "errorPolicy"}.intersection(operation.parameters):
        yield "ETag"
    if status == HTTPStatus.CREATED:
        yield "Location"
    if "list" in operation.parameters:
        yield "Link"
    if "once" in operation.parameters:
        yield "Idempotency-Replayed"
    if operation.gives and not operation.result:
        yield "Content-Disposition"


def _failure(status: int) -> dict[str, Any]:
    """All errors of one status: what each code means, and what it looks like."""
    kinds = [each for each in error_family() if each.status == status]
    shown = {each.code: {"value": examples.failure(each)} for each in kinds}
    said = {each.code: " ".join((each.__doc__ or "").split()) for each in kinds}
    return {
        "description": "\n".join(f"- `{code}`: {text}" for code, text in said.items()),
        "headers": _headers((*_STANDING, *_limited(status), *_OF_ERRORS.get(status, ()))),
        "content": {
            "application/json": {"schema": ref("Error"), "examples": shown},
            PROBLEM_JSON: {"schema": ref("ProblemDetails"), "example": examples.problem(kinds[0])},
        },
    }


def _limited(status: int) -> Sequence[str]:
    """The headers of an error that tell of the key's requests: none where no key was let in."""
    return () if status in _BEFORE_KEYS else _LIMITED


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(said: str, form: str) -> dict[str, Any]:
    return {"description": said, "schema": {"type": "string", **({"format": form} if form else {})}}


def _told_header(name: str, said: str, example: str) -> dict[str, Any]:
    shown = {"schema": {"type": "string"}, "example": example}
    return {"name": name, "in": "header", "required": True, "description": said, **shown}
