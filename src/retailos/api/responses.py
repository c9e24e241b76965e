"""Responses as they are documented: of success, of every error, and the headers that go with them."""

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from retailos.api import examples
from retailos.api.call import Operation
from retailos.api.schemas import enveloped, error_family, ref

#: What every route can answer besides its success.
_ALWAYS = (400, 401, 403, 406, 414, 431, 500, 503)
#: What a route that takes a body can answer too.
_WITH_BODY = (413, 415)

_STANDING = ("X-Ra-Request-Id", "X-Ra-Request-Timestamp", "X-Ra-Server-Version")
_LATER = ("Retry-After",)
_OF_ERRORS = MappingProxyType({401: ("WWW-Authenticate",), 405: ("Allow",), 429: _LATER, 503: _LATER})
_HEADERS = MappingProxyType(
    {
        "X-Ra-Request-Id": ("Names this request; quote it when you report a failure.", "uuid"),
        "X-Ra-Request-Timestamp": ("When the request arrived.", "date-time"),
        "X-Ra-Server-Version": ("The version of the server.", ""),
        "ETag": ("The record's version, in double quotes.", ""),
        "Location": ("The URL of the new record.", "uri-reference"),
        "Retry-After": ("The seconds to wait before sending again.", ""),
        "WWW-Authenticate": ("The scheme to authorise with.", ""),
        "Allow": ("The methods that the route takes.", ""),
    }
)
#: The headers of what is sent to webhooks.
TOLD_HEADERS = MappingProxyType(
    {
        "X-Ra-Request-Id": "Names this attempt.",
        "X-Ra-Delivery-Id": "Names what this webhook is owed of this record: the same for every attempt and version.",
        "X-Ra-Attempt": "Which attempt it is, from 1.",
        "X-Ra-Record-Version": "The record's version: drop what is lower than what you have.",
        "X-Ra-Resource": "The resource, such as customer.",
        "X-Ra-Change": "created if you never acknowledged the record, else updated, deleted, anonymised or merged.",
        "traceparent": "W3C trace context.",
    }
)


def responses(operation: Operation, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Document every status that an operation can answer; `schemas` are the document's, with their examples."""
    status, *own = operation.statuses
    errors = {*_ALWAYS, *own, *(_WITH_BODY if operation.body else ())} - {HTTPStatus.ACCEPTED}
    failures = {str(each): {"$ref": f"#/components/responses/Error{each}"} for each in sorted(errors)}
    waiting = {str(HTTPStatus.ACCEPTED.value): _waiting(operation)} if HTTPStatus.ACCEPTED in own else {}
    return {str(status): _success(operation, status, schemas)} | waiting | failures


def standing_components() -> dict[str, Any]:
    """What every document has besides schemas: the errors, the headers, and the ways to authorise."""
    statuses = sorted({each.status for each in error_family()})
    return {
        "responses": {f"Error{status}": _failure(status) for status in statuses},
        "headers": {name: _header(*told) for name, told in _HEADERS.items()},
        "parameters": {name: _told_header(name, said) for name, said in TOLD_HEADERS.items()},
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


def _success(operation: Operation, status: int, schemas: Mapping[str, Any]) -> dict[str, Any]:
    results = _results(operation, schemas)
    answers = [examples.success(status, operation.user_message, operation.action, each) for each in results]
    schema = ref(f"{operation.result}Envelope") if operation.result else enveloped({"type": "null"})
    return {
        "description": operation.user_message,
        "headers": _headers((*_STANDING, *_own_headers(operation, status))),
        "content": {"application/json": {"schema": schema, **example(answers)}},
    }


def _waiting(operation: Operation) -> dict[str, Any]:
    """The answer to an upsert that waits for records which have not come yet."""
    job = [examples.job(operation.resource, waiting=True)] if operation.resource else []
    answer = examples.success(HTTPStatus.ACCEPTED, operation.user_message, operation.action, job)
    return {
        "description": "It waits for records that it refers to; the job tells which, and later what came of it.",
        "headers": _headers(_STANDING),
        "content": {"application/json": {"schema": ref("JobQueueMetaListEnvelope"), "example": answer}},
    }


def _results(operation: Operation, schemas: Mapping[str, Any]) -> list[Any]:
    """The examples of what the envelope holds."""
    if not operation.result:
        return [None]
    if operation.resource and operation.result == "JobQueueMetaList":
        return [[examples.job(operation.resource)]]
    found: list[Any] = schemas[operation.result].get("examples", [])
    return found


def _own_headers(operation: Operation, status: int) -> Iterator[str]:
    if operation.resource and not {"list", "errorPolicy"}.intersection(operation.parameters):
        yield "ETag"
    if status == HTTPStatus.CREATED:
        yield "Location"


def _failure(status: int) -> dict[str, Any]:
    """All errors of one status: what each code means, and what it looks like."""
    kinds = [each for each in error_family() if each.status == status]
    shown = {each.code: {"value": examples.failure(each)} for each in kinds}
    said = {each.code: " ".join((each.__doc__ or "").split()) for each in kinds}
    return {
        "description": "\n".join(f"- `{code}`: {text}" for code, text in said.items()),
        "headers": _headers((*_STANDING, *_OF_ERRORS.get(status, ()))),
        "content": {"application/json": {"schema": ref("Error"), "examples": shown}},
    }


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(said: str, form: str) -> dict[str, Any]:
    return {"description": said, "schema": {"type": "string", **({"format": form} if form else {})}}


def _told_header(name: str, said: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": said, "schema": {"type": "string"}}
