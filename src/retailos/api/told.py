"""The requests that webhooks send, as they are documented: one record, or a batch of them."""

from collections.abc import Iterable, Iterator
from types import MappingProxyType
from typing import Any, Final

from retailos.api import examples
from retailos.api.responses import TOLD_HEADERS
from retailos.api.schemas import Schema, ref
from retailos.declare.resource import Resource, Resources

_TOLD: Final = """\
Sent to each webhook of this resource after a record was created, updated or deleted, with the entire object as it is by
then: changes that follow each other quickly may go out as one. The URL, the method (PUT, POST or PATCH) and further
headers, such as `Authorization`, are the webhook's own. In the URL, a field in braces stands for the record's value,
percent-encoded as one segment: `https://erp.example.com/v1/{resource}/{{{external_id}}}`.

A record has one request under way to a webhook at a time. One whose answer was lost is sent again, so apply a record as
a whole, under its id, and drop what has a lower `X-Ra-Record-Version` than what you have."""
_TOLD_TOGETHER: Final = """\
Sent in place of single requests to a webhook whose `batchSize` is more than 1: up to so many {resource_plural} in one
request. Each record says its `version`: drop what is lower than what you have.

A 2xx has to say of each record whether it was taken, as the webhook's `batchAnswer` has it; this is the default, for
which the array may also stand under the name `{plural}`, or alone. A record that is not named has not arrived. A batch
that is refused as a whole with 400, 413 or 422 comes again in halves, until the record that spoils it is alone."""
#: What is said of a batch with each request, beside what is said of a single record.
_OF_ALL: Final = ("X-Ra-Request-Id", "X-Ra-Batch-Size", "X-Ra-Resource", "traceparent")
#: What an answer means, by its status.
_TOLD_ANSWERS: Final = MappingProxyType(
    {
        "2XX": "It has arrived, whatever the body says; the body is kept.",
        "3XX": "It has not: redirects are not followed. It is sent again, as the webhook's retry policy says.",
        "4XX": "It has not. The body is kept, so say what is wrong with the record. It is sent again, as the webhook's "
        "retry policy says, and not before the seconds of a `Retry-After`.",
        "5XX": "It has not, and is sent again in the same way, as it is where no answer comes in time.",
    }
)


def requests_told(resources: Resources, resource: Resource) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and describe the requests that the webhooks of a resource send."""
    yield resource.name, _single(resources, resource)
    yield resource.plural, _batch(resources, resource)


def _single(resources: Resources, resource: Resource) -> dict[str, Any]:
    schema = _object(f"{resource.schema_name}Told", resource.name, ref(resource.schema_name))
    return {
        "operationId": f"{resource.name}Told",
        "tags": [resource.title_plural],
        "summary": f"A {resource.title.lower()} has changed",
        "description": _TOLD.format(resource=resource.name, external_id=resource.external_id.name),
        "parameters": _parameters(name for name in TOLD_HEADERS if name != "X-Ra-Batch-Size"),
        "requestBody": _body(schema, {resource.name: examples.told(resources, resource)}),
        "responses": {status: {"description": said} for status, said in _TOLD_ANSWERS.items()},
        "security": [],
    }


def _batch(resources: Resources, resource: Resource) -> dict[str, Any]:
    records = {"type": "array", "items": ref(resource.schema_name), "minItems": 1}
    record, external_id = examples.told(resources, resource), resource.external_id.name
    results = [{external_id: record[external_id], "error": None}]
    answered = _body(_results(resource), {"results": results})
    answers = {status: {"description": said} for status, said in _TOLD_ANSWERS.items()}
    taken = {"description": "Each record that it names without an error has arrived.", "content": answered["content"]}
    return {
        "operationId": f"{resource.plural}Told",
        "tags": [resource.title_plural],
        "summary": f"{resource.title_plural} have changed",
        "description": _TOLD_TOGETHER.format(resource_plural=resource.title_plural.lower(), plural=resource.plural),
        "parameters": _parameters(_OF_ALL),
        "requestBody": _body(
            _object(f"{resource.schema_name}ManyTold", resource.plural, records), {resource.plural: [record]}
        ),
        "responses": answers | {"2XX": taken},
        "security": [],
    }


def _results(resource: Resource) -> Schema:
    item = {
        "title": f"{resource.schema_name}Result",
        "type": "object",
        "properties": {
            resource.external_id.name: {"type": "string"},
            "error": {
                "description": "Null, or why the record was not taken.",
                "anyOf": [{"title": "RecordError", "type": "object"}, {"type": "null"}],
            },
        },
        "required": [resource.external_id.name],
    }
    return _object(f"{resource.schema_name}Results", "results", {"type": "array", "items": item})


def _object(title: str, name: str, member: Schema) -> Schema:
    return {"title": title, "type": "object", "properties": {name: member}, "required": [name]}


def _parameters(names: Iterable[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _body(schema: Schema, example: Any) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}
