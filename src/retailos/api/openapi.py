"""The OpenAPI 3.1 document, generated from the declarations and the table of operations."""

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from retailos.api import examples, parameters
from retailos.api.admin import admin_schemas
from retailos.api.call import Operation
from retailos.api.links import links
from retailos.api.naming import moved, named
from retailos.api.responses import example, responses, standing_components
from retailos.api.schemas import Schema, enveloped, ref, resource_schemas, standing_schemas
from retailos.api.told import requests_told
from retailos.declare.names import spaced
from retailos.declare.resource import Resource, Resources

Document = dict[str, Any]

_REF = re.compile(re.escape(ref("")["$ref"]) + r"(\w+)")

_ABOUT = """\
Records in, changes out: what is written here is told to every webhook that asked.

- **Authorise** with the header `Authorization: API_KEY <your api key here>`; `Bearer <key>` is taken too.
- **Send** JSON in UTF-8, with `Content-Type: application/json`.
- **Every answer** has one shape, the envelope: the outcome is in `result`, a failure in `error`, and `meta` names
  the request, as the headers `X-Ra-Request-Id` and `X-Ra-Request-Timestamp` do. Go by `error.code`; the message is
  for people. With `Accept: application/problem+json` an error is written as RFC 9457 has it.
- **Limits**: each key may make so many requests in a second; `RateLimit` tells what is left of them, and `429` with
  `Retry-After` that there are none. Each process counts for itself. Calls without a good key are limited as well.
- **Unknown** fields and parameters are refused, since one that is mistyped and ignored would be believed to work.
- **Postman** imports `postman.json` and `postman-environment.json`, which are served beside this document.
"""
_UPSERTS = """\
- **Upsert** with `PUT` to a record's external id, your own name for it, percent-encoded as one segment of the URL.
  It is idempotent: what is absent is kept, `null` clears, and a record that is like that already is not changed.
- **Patch** a part of a record: what is named is replaced, `details` and `reporting` are merged. Sent as
  `application/merge-patch+json`, every object in it is merged member by member (RFC 7396).
"""
_OPERATORS = """

Filters compare for equality, or with an operator: `updatedAt[gte]=2020-03-25T00:00:00.000Z`. Operators are `in`
(values between commas), `ne`, `gt`, `gte`, `lt`, `lte`, `startsWith` and `isNull` (`true` or `false`). All filters
must hold."""
_FILES = """

**NDJSON** has a record on each line, as a bulk upsert takes it. **CSV** has a header row that names fields, with a dot
before a member: `address.postCode`, `registeredAt.externalStoreId`. It is separated by commas, semicolons or tabs, and
in UTF-8. An empty cell is absent, and keeps what the field has; `\\N` is null, and clears it. A field that is no text,
number or boolean has JSON in its cells.

An external id may stand in a file more than once: rows are applied in their order, and imports in the order in which
their uploads ended. A file that is damaged anywhere is refused whole. A row that is wrong is refused alone, and comes
back from `/results`, with `_error` and `_line` added, to be corrected and sent again."""


def document(resources: Resources, operations: Sequence[Operation], *, title: str, server_version: str) -> Document:
    """Compose the document of these operations, and of the webhooks of the resources that they are about.

    Raises ValueError where two operations would have one operationId, and KeyError where one names a schema that is
    not there.
    """
    about = [each for each in resources.values() if any(each is operation.resource for operation in operations)]
    schemas = named(_schemas(resources, about, operations))
    webhooks = moved({name: {"put": told} for each in about for name, told in requests_told(resources, each)}, schemas)
    made: Document = {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": server_version,
            "description": _ABOUT + (_UPSERTS if about else ""),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"apiKey": []}, {"bearer": []}],
        "tags": list({tag["name"]: tag for tag in map(_tag, operations)}.values()),
        "paths": moved(_paths(resources, operations, schemas), schemas),
        **({"webhooks": webhooks} if webhooks else {}),
        "components": standing_components(),
    }
    made["components"]["schemas"] = _used(schemas, made)
    return made


def _schemas(resources: Resources, about: Iterable[Resource], operations: Iterable[Operation]) -> dict[str, Schema]:
    schemas = standing_schemas(resources) | admin_schemas(resources)
    for resource in about:
        schemas |= resource_schemas(resources, resource)
    results = [each.result for each in operations] + [each.result for one in operations for each in one.also]
    return schemas | {f"{each}Envelope": enveloped(ref(each)) for each in results if each}


def _used(schemas: Mapping[str, Schema], made: Document) -> dict[str, Schema]:
    """The schemas that the rest of the document points to, and those that they point to."""
    used: set[str] = set()
    found = _pointed_to(made)
    while found:
        used |= found
        found = {name for each in found for name in _pointed_to(schemas[each])} - used
    return {name: schema for name, schema in schemas.items() if name in used}


def _pointed_to(part: Document) -> set[str]:
    return set(_REF.findall(msgspec.json.encode(part).decode()))


def _paths(resources: Resources, operations: Sequence[Operation], schemas: Document) -> Document:
    """Put operations of one path together; where the names of variables alone differ, the last ones stand."""
    named = {parameters.shape(each.path): each.path for each in operations}
    ids = _operation_ids(operations)
    paths: Document = {}
    for operation in operations:
        path = named[parameters.shape(operation.path)]
        described = {"operationId": ids[operation], **_operation(resources, operation, path, schemas)}
        success, leads = next(iter(described["responses"].values())), links(operation, ids)
        success |= {"links": leads} if leads else {}
        paths.setdefault(path, {})[operation.method.lower()] = described
    return paths


def _operation_ids(operations: Iterable[Operation]) -> dict[Operation, str]:
    taken: set[str] = set()
    return {each: _operation_id(each, taken) for each in operations}


def _operation_id(operation: Operation, taken: set[str]) -> str:
    """`customerGetAll`, after the envelope's action; a second way to the same has its variable in its name."""
    first, *words = operation.action.lower().split("_")
    name = first + "".join(map(str.capitalize, words))
    if name in taken:
        last = (parameters.variables(operation.path) or [""])[-1]
        name += f"By{last[:1].upper()}{last[1:]}"
    if name in taken:
        raise ValueError(f"expected each action once at a path, got {operation.action} again at {operation.path}")
    taken.add(name)
    return name


def _operation(resources: Resources, operation: Operation, path: str, schemas: Document) -> Document:
    asked = [*parameters.of_path(resources, operation, path), *parameters.of_query(resources, operation)]
    described: Document = {
        "tags": [_tag(operation)["name"]],
        "summary": operation.summary,
        "description": _description(operation),
        **({"parameters": asked} if asked else {}),
    }
    if operation.body:
        content = {"schema": ref(operation.body), **_requests(resources, operation, schemas[operation.body])}
        described["requestBody"] = {"required": True, "content": {"application/json": content}}
    if operation.takes:
        files = {kind: examples.file(kind) for kind in operation.takes}
        described["requestBody"] = {"required": True, "content": files}
    return described | {"responses": responses(operation, schemas)}


def _requests(resources: Resources, operation: Operation, schema: Schema) -> Document:
    """The examples of a body; of a record one that works at once, and one that needs others to be there."""
    alone, resource = example(schema.get("examples", [])), operation.resource
    if resource is None or not _takes_records(operation):
        return alone
    if all(each.to == resource.name for each in resource.references):
        return alone
    sent: Any = examples.referring(resource)
    many = resource.plural in schema["properties"]
    value = {resource.plural: [sent]} if many else sent
    others = {"summary": "With references to records that exist", "value": value}
    must = any(each.required for each in resource.references)
    summary = "With no other references than it must have" if must else "Alone"
    return {"examples": {"alone": {"summary": summary, "value": alone["example"]}, "referring": others}}


def _takes_records(operation: Operation) -> bool:
    """Whether what is sent are records of the operation's resource, whole or in part."""
    resource = operation.resource
    return bool(resource and operation.body and operation.body.startswith(resource.schema_name))


def _description(operation: Operation) -> str:
    said = " ".join((inspect.getdoc(operation.endpoint) or operation.summary).split("\n\n")[0].split())
    if "list" in operation.parameters:
        said += _OPERATORS
    if operation.takes:
        said += _FILES
    if _takes_records(operation) and operation.resource:
        said += (
            f" What a webhook sent can be sent back as it is, the record under its name `{operation.resource.name}`."
        )
    return f"{said}\n\nNeeds a key that allows `{operation.scope}`."


def _tag(operation: Operation) -> dict[str, str]:
    resource = operation.resource
    if resource is None:
        return {"name": spaced(operation.path.split("/")[3])}
    said = f"Queue `{resource.queue('upsert')}`; told to webhooks of the resource `{resource.name}`."
    if resource.natural_key:
        names = " and ".join(f"`{each}`" for each in resource.natural_key.references)
        said += f" `{resource.external_id.name}` need not be sent: {names} say which record is meant, whatever its id."
    return {"name": resource.title_plural, "description": said}
