"""JSON Schemas of what the API takes and gives, derived from declarations, structs and the family of errors."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from retailos import errors
from retailos.api import examples
from retailos.api.bulk import RECORDS_MOST
from retailos.api.change_view import ChangesView, ChangeView
from retailos.api.envelope import Envelope, Fault, Meta, ProblemDetails
from retailos.api.jobs import requeue_fields
from retailos.api.merge import MergeView
from retailos.declare.field import Field, Reference
from retailos.declare.inner import INNER_ID, InnerArray
from retailos.declare.resource import Resource, Resources
from retailos.errors import RetailOSError
from retailos.imports.imports import STATUSES as IMPORT_STATUSES
from retailos.imports.imports import Import
from retailos.imports.rows import FORMATS
from retailos.jobs.jobs import Batch, JobQueueMeta, JobWarning, UnresolvedReference
from retailos.operations import JobsRequeued
from retailos.records.merging import MERGED_MOST
from retailos.records.record import Outcome

Schema = dict[str, Any]

#: Outcomes that a job does not show as such.
_NO_OUTCOMES = (Outcome.EXISTS, Outcome.TAKEN, Outcome.PARKED, Outcome.SUPERSEDED)
_COMPONENTS = "#/components/schemas/"
_WHEN = MappingProxyType({"type": "string", "format": "date-time"})
_UUID = MappingProxyType({"type": "string", "format": "uuid"})


def object_schema(fields: Mapping[str, Field], *, input: bool, owner: str) -> Schema:
    """Describe an object with these fields: as it is accepted (`input`), or as it is shown.

    Accepted, it has its required fields and none that is unknown; what is read-only may come along and is ignored.
    The objects and the fixed words within it are called after their `owner`: `StoreStatus`.
    """
    properties = {name: _member(each, owner, input=input) for name, each in fields.items()}
    schema: Schema = {"type": "object", "properties": properties}
    if input:
        required = [name for name, each in fields.items() if each.required and not each.read_only]
        schema |= ({"required": required} if required else {}) | {"additionalProperties": False}
    return schema | {"examples": [examples.object_example(fields, input=input)]}


def struct_schema(struct: type[Any], **known: Mapping[str, Any]) -> Schema:
    """Describe a struct as it is shown, its members always there unless unset; `known` tells more than types do."""
    schema: Schema = msgspec.json.schema_components([struct], ref_template=_COMPONENTS + "{name}")[1][struct.__name__]
    properties = {name: _compact(each) for name, each in schema["properties"].items()}
    properties |= {name: dict(each) for name, each in known.items()}
    own = msgspec.structs.fields(struct) if issubclass(struct, msgspec.Struct) else ()
    unset = {each.encode_name for each in own if each.default is msgspec.UNSET}
    return {"type": "object", "properties": properties, "required": [name for name in properties if name not in unset]}


def list_schema(name: str, row: Schema, *, cursor: bool = False) -> Schema:
    """Describe a page of what `row`, the schema called `name`, describes."""
    count = {"type": ["integer", "null"], "minimum": 0, "description": "All that match, not those of this page alone."}
    following = {"type": ["string", "null"], "description": "The `cursor` of the next page; null where there is none."}
    properties = {"count": count, "rows": {"type": "array", "items": ref(name)}}
    seen = {"type": ["string", "null"], "description": "With the first page: where to read the change feed from."}
    properties |= {"nextCursor": following, "changesCursor": seen} if cursor else {}
    schema: Schema = {"type": "object", "properties": properties, "required": ["count", "rows"]}
    return schema | {"examples": [{"count": 1, "rows": row["examples"]}]}


def resource_schemas(resources: Resources, resource: Resource) -> Iterator[tuple[str, Schema]]:
    """Name and describe the objects of one resource: the entity, what is accepted, a page, and how others show it."""
    name, entity = resource.schema_name, _entity(resources, resource)
    yield name, entity
    accepted = _accepted(resources, resource)
    yield f"{name}Input", accepted
    yield f"{name}BulkInput", _many(resource, f"{name}Input", accepted)
    yield f"{name}Patch", {key: value for key, value in accepted.items() if key not in ("required", "not", "allOf")}
    yield f"{name}List", list_schema(name, entity, cursor=True)
    yield f"{name}Reference", _reference(resource)
    if resource.mergeable:
        yield f"{name}Merge", _merge(resource, entity)
    if resource.projection:
        shown = {field: resource.fields[field] for field in resource.projection}
        yield f"{name}Projection", object_schema(shown, input=False, owner=name)
    for each in resource.references:
        if each.projection:
            own = {field.name: field for field in resources.projection(each)}
            yield (
                _projection_name(resources, resource, each),
                object_schema(own, input=False, owner=resources[each.to].schema_name),
            )


def standing_schemas(resources: Resources) -> dict[str, Schema]:
    """Describe what every document has: jobs, the envelope's parts, and the envelope of an error."""
    written = [each.value for each in Outcome if each not in _NO_OUTCOMES]
    ended = {"type": ["string", "null"], "examples": written, "description": "What the upsert did to the record."}
    job = struct_schema(
        JobQueueMeta,
        status={"type": "string", "examples": ["completed"], "description": "Where the job stands."},
        createdAt=_WHEN,
        completedAt=nullable(dict(_WHEN)),
        outcome=ended,
        error=nullable(ref("Fault")),
        unresolvedReferences={"type": "array", "items": ref("UnresolvedReference")},
        warnings={"type": "array", "items": ref("JobWarning")},
    )
    codes = sorted({each.code for each in error_family()})
    code = {"type": "string", "examples": codes, "description": "Further codes may be added; take those too."}
    return {
        "JobQueueMeta": job | {"examples": [examples.job_of_nobody()]},
        "UnresolvedReference": struct_schema(UnresolvedReference),
        "JobWarning": struct_schema(JobWarning),
        "JobQueueMetaList": {"type": "array", "items": ref("JobQueueMeta")},
        "JobList": list_schema("JobQueueMeta", job | {"examples": []}) | {"examples": [{"count": None, "rows": []}]},
        "Change": struct_schema(ChangeView, id=_UUID, changedAt=_WHEN, data={"type": "object"}),
        "ChangeList": struct_schema(ChangesView, rows={"type": "array", "items": ref("Change")})
        | {"examples": [{"rows": [], "nextCursor": "c1042.7.5f3a90c1", "hasMore": False}]},
        "JobRequeueInput": object_schema(requeue_fields(resources), input=True, owner="JobRequeue"),
        "JobsRequeued": struct_schema(JobsRequeued) | {"examples": [{"count": 3, "dryRun": True}]},
        "Batch": struct_schema(Batch, id=_UUID, createdAt=_WHEN) | {"examples": [examples.batch()]},
        "MergeInput": _merge_input(),
        **_of_imports(),
        "Meta": struct_schema(Meta, requestId=_UUID, requestTimestamp=_WHEN),
        "Fault": struct_schema(Fault, code=code),
        "ProblemDetails": struct_schema(ProblemDetails, code=code),
        "Error": enveloped({"type": "null"}, error=ref("Fault")),
    }


def _of_imports() -> dict[str, Schema]:
    whole = {"type": "integer", "minimum": 0}
    described = struct_schema(
        Import,
        id=_UUID,
        format={"type": "string", "examples": list(FORMATS)},
        status={"type": "string", "examples": list(IMPORT_STATUSES), "description": "Where the import stands."},
        createdAt=_WHEN,
        startedAt=nullable(dict(_WHEN)),
        endedAt=nullable(dict(_WHEN)),
        bytes=whole | {"description": "What arrived, as it was sent."},
        rows=whole | {"description": "The rows of the file."},
        rowsRead=whole | {"description": "The rows that were read so far."},
        failed=whole | {"description": "Of the rows that were read, those that were refused."},
        outcomes={
            "type": "object",
            "additionalProperties": {"type": "integer"},
            "description": "What the other rows that were read did to their records, counted.",
        },
        error=nullable(ref("Fault")),
    ) | {"examples": [examples.queued_import()]}
    return {"Import": described, "ImportList": list_schema("Import", described)}


def enveloped(result: Schema, *, error: Mapping[str, Any] = MappingProxyType({"type": "null"})) -> Schema:
    """Describe the envelope around a result, as it is on success unless an error is described."""
    return struct_schema(Envelope, error=error, result=result)


def error_family() -> tuple[type[RetailOSError], ...]:
    """Every error that a caller can meet, the general before the special."""
    kinds = (each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, RetailOSError))
    return tuple(each for each in kinds if each is not RetailOSError)


def ref(name: str) -> Schema:
    """Point to a schema of the document."""
    return {"$ref": _COMPONENTS + name}


def nullable(schema: Schema) -> Schema:
    """Allow null beside what a schema allows."""
    if not schema:
        return schema
    if "type" not in schema or not {"title", "const"}.isdisjoint(schema):
        return {"anyOf": [schema, {"type": "null"}]}
    return schema | {"type": [schema["type"], "null"]}


def _member(field: Field, owner: str, *, input: bool) -> Schema:
    title = f"{owner}{field.name[0].upper()}{field.name[1:]}"
    schema = _titled(field.kind.schema() if input else opened(field.kind.schema()), title, input=input)
    if not (field.required or field.spelled_out) if input else field.nullable:
        schema = nullable(schema)
    if input and field.default not in (None, {}, []):
        default = f"Without it a new record has {msgspec.json.encode(field.default).decode()}."
        schema = schema | {"description": f"{schema['description']}. {default}" if "description" in schema else default}
    marks = {"readOnly": field.read_only, "x-personal": field.personal}
    return schema | {name: True for name, marked in marks.items() if marked}


def _titled(schema: Schema, title: str, *, input: bool) -> Schema:
    """Give what a generated client has a type for its name: objects and fixed words, wherever they stand in a schema.

    Objects are accepted and shown in two forms, so that the accepted one has a name of its own.
    """
    inner = dict(schema)
    if "properties" in schema:
        inner["properties"] = {
            name: _titled(each, f"{title}{name[0].upper()}{name[1:]}", input=input)
            for name, each in schema["properties"].items()
        }
    if "items" in schema:
        inner["items"] = _titled(schema["items"], f"{title}Item", input=input)
    if "oneOf" in schema:
        inner["oneOf"] = [_titled(each, title, input=input) for each in schema["oneOf"]]
    if "enum" in schema:
        return {"title": title} | inner
    if schema.get("type") == "object" and "title" not in schema:
        return {"title": f"{title}Input" if input else title} | inner
    return inner


def opened(schema: Schema) -> Schema:
    """Turn enumerations into examples and close no object: who reads must be ready for what later versions add."""
    closed = ("enum", "additionalProperties") if schema.get("additionalProperties") is False else ("enum",)
    told = {key: value for key, value in schema.items() if key not in closed}
    if "enum" in schema:
        told |= {"examples": schema["enum"], "description": "Further words may be added; take those too."}
    if "items" in schema:
        told["items"] = opened(schema["items"])
    if "properties" in schema:
        told["properties"] = {name: opened(each) for name, each in schema["properties"].items()}
    return told


def _entity(resources: Resources, resource: Resource) -> Schema:
    fields = object_schema(resource.fields, input=False, owner=resource.schema_name)["properties"]
    properties = {}
    for each in resource.shown:
        if isinstance(each, Reference):
            name = _projection_name(resources, resource, each)
            many = {"type": "array", "items": ref(name), "readOnly": True}
            properties[each.name] = many if each.ids else nullable(ref(name)) | {"readOnly": True}
        elif isinstance(each.kind, InnerArray):
            properties[each.name] = _shown_items(resources, each.kind, _item_name(resource, each.kind))
        else:
            properties[each.name] = fields[each.name]
    return {"type": "object", "properties": properties, "examples": [examples.shown(resources, resource)]}


def _item_name(resource: Resource, array: InnerArray) -> str:
    """What an item of an array within a record is called, after its external id: `OrderLine`, `PaymentOfOrder`."""
    stem = array.key.removeprefix("external").removesuffix("Id")
    return stem if stem.startswith(resource.schema_name) else f"{stem}Of{resource.schema_name}"


def _shown_items(resources: Resources, array: InnerArray, name: str) -> Schema:
    """Describe an array of objects as it is shown, the objects of its references within."""
    fields = {each.name: each for each in array.shown if isinstance(each, Field)}
    properties = dict(object_schema(fields, input=False, owner=name)["properties"])
    for each in array.references:
        own = {field.name: field for field in resources.projection(each)}
        title = f"{name}{each.name[0].upper()}{each.name[1:]}"
        shown = object_schema(own, input=False, owner=title)["properties"]
        properties[each.name] = nullable({"type": "object", "title": title, "properties": shown}) | {"readOnly": True}
    ordered = {each.name: properties[each.name] for each in array.shown}
    return {"type": "array", "items": {"type": "object", "title": name, "properties": ordered}}


def _accepted_items(resources: Resources, array: InnerArray, name: str) -> Schema:
    """Describe an array of objects as it is accepted; what it was read with may come along."""
    properties = dict(object_schema({INNER_ID.name: INNER_ID, **array.fields}, input=True, owner=name)["properties"])
    for each in array.references:
        properties[each.name] = nullable(ref(f"{resources[each.to].schema_name}Reference"))
    ordered = {each.name: properties[each.name] for each in array.shown}
    items: Schema = {"type": "object", "title": f"{name}Input", "properties": ordered, "additionalProperties": False}
    needed = [each.name for each in array.members if isinstance(each, Field) and each.required]
    items |= {"required": needed} if needed else {}
    either = [array.names_of(each.name) for each in array.references if each.required]
    if array.requires_one_of:
        either.append(tuple(name for each in array.requires_one_of for name in array.names_of(each)))
    if either:
        items["allOf"] = [{"not": _none_of(names)} for names in either]
    return {"type": "array", "items": items, "minItems": array.least, "maxItems": array.most}


def _accepted(resources: Resources, resource: Resource) -> Schema:
    schema = object_schema(resource.fields, input=True, owner=resource.schema_name)
    fields, properties = schema["properties"], {}
    for each in resource.shown:
        if isinstance(each, Reference):
            one = ref(f"{resources[each.to].schema_name}Reference")
            properties[each.name] = nullable({"type": "array", "items": one} if each.ids else one)
        elif isinstance(each.kind, InnerArray):
            items = _accepted_items(resources, each.kind, _item_name(resource, each.kind))
            properties[each.name] = items if each.required else nullable(items)
        else:
            properties[each.name] = fields[each.name]
    schema |= {"properties": properties, "required": list(resource.required)}
    schema |= {"examples": [examples.accepted(resource)]}
    if resource.requires_one_of:
        schema["not"] = _none_of(resource.requires_one_of)
    rules = [each.problem("").message.removeprefix("expected ") for each in (*resource.together, *resource.rules)]
    if rules:
        schema["description"] = f"Expected: {'; '.join(rules)}."
    either = [(each.name, each.id_field.name) for each in resource.references if each.required]
    if either:
        schema["allOf"] = [{"not": _none_of(names)} for names in either]
    return {key: value for key, value in schema.items() if value != []}


def _many(resource: Resource, name: str, one: Schema) -> Schema:
    records = {"type": "array", "items": ref(name), "minItems": 1, "maxItems": RECORDS_MOST}
    return {
        "type": "object",
        "properties": {resource.plural: records},
        "required": [resource.plural],
        "additionalProperties": False,
        "examples": [{resource.plural: [each]} for each in one["examples"]],
    }


def _merge_input() -> Schema:
    ids = {"type": "array", "items": dict(_UUID), "minItems": 1, "maxItems": MERGED_MOST}
    chosen = {
        "type": "object",
        "additionalProperties": dict(_UUID),
        "description": "For fields that are not to be taken from the first record that has something: from which.",
    }
    merged = examples.other_id()
    return {
        "type": "object",
        "properties": {"from": ids, "fields": chosen},
        "required": ["from"],
        "additionalProperties": False,
        "examples": [{"from": [merged], "fields": {"email": merged}}],
    }


def _merge(resource: Resource, entity: Schema) -> Schema:
    consents = {each.name: {"type": "boolean"} for each in resource.fields.values() if each.consent}
    schema = struct_schema(
        MergeView,
        jobId=_UUID,
        resourceId=_UUID,
        mergedIds={"type": "array", "items": dict(_UUID)},
        fields={"type": "object", "additionalProperties": dict(_UUID)},
        consents={"type": "object", "properties": consents, "required": list(consents)},
        record=ref(resource.schema_name),
    )
    return schema | {"examples": [examples.merge(resource, dict.fromkeys(consents, False), entity["examples"][0])]}


def _reference(resource: Resource) -> Schema:
    key = resource.external_id.name
    return {
        "type": "object",
        "description": f"A {resource.title.lower()} that exists, by its external id or its id; the rest is ignored.",
        "properties": {key: resource.external_id.kind.schema(), "id": dict(_UUID)},
        "not": _none_of((key, "id")),
    }


def _none_of(names: Iterable[str]) -> Schema:
    """Describe an object without any of these members.

    Its negation is what is demanded: an `anyOf` of what is required says the same, and generators of clients take it
    for a choice between types that have no name.
    """
    return {"allOf": [{"not": {"required": [name]}} for name in names]}


def _projection_name(resources: Resources, resource: Resource, reference: Reference) -> str:
    if reference.projection:
        return f"{resource.schema_name}{reference.name[0].upper()}{reference.name[1:]}Projection"
    return f"{resources[reference.to].schema_name}Projection"


def _compact(schema: Schema) -> Schema:
    """Write a struct's member as the other schemas are: null as a second type, no defaults."""
    kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(kinds) == 1 and len(schema["anyOf"]) > 1:
        return nullable(kinds[0])
    return {key: value for key, value in schema.items() if key != "default"}
