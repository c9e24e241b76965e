"""What the public routes do: read a request against its resource, let the records' house work, and say what came."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec

from retailos.api.body import json_body
from retailos.api.call import Answer, Call, Engine
from retailos.api.envelope import encode
from retailos.declare.resource import Resource
from retailos.declare.values import Uuid, printed
from retailos.errors import ExternalIdExists, Problem, ResourceNotFound, UnknownParameter, ValidationFailed
from retailos.records import body, query, store
from retailos.records.record import Outcome, Written
from retailos.records.references import external_id_problem


class JobQueueMeta(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The guide's face of a job: its four fields first, then ours."""

    id: UUID
    queue_name: str
    status: str
    created_at: str
    resource: str
    external_id: str | None
    resource_id: UUID | None
    version: int | None
    outcome: str | None
    completed_at: str | None
    batch_id: UUID | None = None
    index: int = 0
    error: Any = None
    unresolved_references: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def job_meta(resource: Resource, written: Written) -> JobQueueMeta:
    """Show a write that is committed as the completed job that it was."""
    at = printed(written.at)
    return JobQueueMeta(
        id=written.job_id,
        queue_name=resource.queue("upsert"),
        status="completed",
        created_at=at,
        resource=resource.name,
        external_id=written.external_id,
        resource_id=written.record_id,
        version=written.version,
        outcome=written.outcome.value,
        completed_at=at,
    )


async def upsert(engine: Engine, call: Call) -> Answer:
    """PUT a record by its external id: it is made, updated, or found to be like that already."""
    resource = resource_of(call)
    external_id = external_id_of(call)
    refuse_parameters(call)
    raw = await json_body(call, engine.settings.body_limit_bytes)
    draft = body.read(engine.resources, resource, raw, external_id=external_id)
    written = await engine.writer.write(resource, draft, request_id=call.request_id, api_key_id=call.api_key_id)
    return Answer(encode([job_meta(resource, written)]), headers={"ETag": f'"{written.version}"'})


async def create(engine: Engine, call: Call) -> Answer:
    """POST a new record and show it; one with that external id must not exist."""
    resource = resource_of(call)
    refuse_parameters(call)
    raw = await json_body(call, engine.settings.body_limit_bytes)
    draft = body.read(engine.resources, resource, raw, external_id=None)
    written = await engine.writer.write(
        resource, draft, create_only=True, request_id=call.request_id, api_key_id=call.api_key_id
    )
    if written.outcome is Outcome.EXISTS:
        raise ExternalIdExists(details={"resourceId": str(written.record_id)})
    show = query.show(resource, {}, [])
    shown = await store.get_by_id(engine.pool, engine.resources, resource, written.record_id, show)
    location = f"/v2/public/{resource.collection}/id/{written.record_id}"
    return one(shown, status=201, headers={"Location": location})


async def get_all(engine: Engine, call: Call) -> Answer:
    """GET a page of a list, with the exact number of all that match."""
    resource = resource_of(call)
    asked = query.read(engine.resources, resource, call.query)
    page = await store.find(engine.pool, engine.resources, resource, asked)
    count = "null" if page.count is None else page.count
    return Answer(f'{{"count":{count},"rows":[{page.rows}]}}'.encode())


async def get_one(engine: Engine, call: Call) -> Answer:
    """GET a record by our id if it has the form of one and is known, else by its external id."""
    resource, show = resource_of(call), shown_of(call)
    record_id = internal_id(call.path["id"])
    if record_id:
        shown = await store.get_by_id(engine.pool, engine.resources, resource, record_id, show)
        if shown:
            return one(shown)
    external_id = external_id_of(call, "id")
    return one(await store.get_by_external_id(engine.pool, engine.resources, resource, external_id, show))


async def get_by_external_id(engine: Engine, call: Call) -> Answer:
    """GET a record by its external id, also when that looks like one of our ids."""
    resource, show, external_id = resource_of(call), shown_of(call), external_id_of(call)
    return one(await store.get_by_external_id(engine.pool, engine.resources, resource, external_id, show))


async def get_by_id(engine: Engine, call: Call) -> Answer:
    """GET a record by our id alone."""
    resource, show = resource_of(call), shown_of(call)
    record_id = internal_id(call.path["id"])
    if record_id is None:
        raise ValidationFailed([Problem("id", "INVALID_UUID", "expected a uuid in the URL")])
    return one(await store.get_by_id(engine.pool, engine.resources, resource, record_id, show))


def one(shown: store.Shown | None, *, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """Answer with one record, its version as the ETag; ResourceNotFound where there is none."""
    if shown is None:
        raise ResourceNotFound
    return Answer(shown.json.encode(), status, {"ETag": f'"{shown.version}"'} | (headers or {}))


def resource_of(call: Call) -> Resource:
    """The resource that the route is about."""
    if call.operation is None or call.operation.resource is None:
        raise LookupError("a route of the public API without a resource")
    return call.operation.resource


def external_id_of(call: Call, variable: str = "externalId") -> str:
    """The external id in the URL, checked."""
    external_id = call.path[variable]
    problem = external_id_problem(external_id, variable)
    if problem:
        raise ValidationFailed([problem])
    return external_id


def internal_id(text: str) -> UUID | None:
    """The id that a text is, or None if it has not the form of one."""
    try:
        return Uuid().parse(text)
    except ValueError:
        return None


def shown_of(call: Call) -> tuple[Any, ...]:
    """What of the record is to be shown: `fields` and `expand` of the query."""
    given = query.parameters(call.query)
    refuse_unknown(given, ("fields", "expand"))
    problems: list[Problem] = []
    show = query.show(resource_of(call), given, problems)
    if problems:
        raise ValidationFailed(problems)
    return show


def refuse_parameters(call: Call) -> None:
    """Refuse every parameter, on a route that has none."""
    if call.query:
        refuse_unknown(query.parameters(call.query), ())


def refuse_unknown(given: Iterable[str], known: tuple[str, ...]) -> None:
    """Refuse parameters that the route does not have; one that were ignored would be believed to work."""
    expected = f"one of {', '.join(known)}" if known else "no parameters"
    strange = [
        Problem(name[:100], UnknownParameter.code, f"expected {expected}, got {name[:100]!r}")
        for name in given
        if name not in known
    ]
    if strange:
        raise UnknownParameter(strange)
