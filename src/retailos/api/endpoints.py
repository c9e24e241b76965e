"""What the public routes that read do: one record by either of its ids, or a page of a list."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from retailos.api.access import check_shown
from retailos.api.call import Answer, Call, Engine
from retailos.api.wishes import tags
from retailos.declare.derived import Lineage
from retailos.declare.field import Field, Reference
from retailos.declare.inner import InnerArray
from retailos.declare.resource import Resource
from retailos.declare.values import Uuid
from retailos.errors import Problem, ResourceNotFound, ValidationFailed
from retailos.records import feed, query, store
from retailos.records.references import external_id_problem


async def get_all(engine: Engine, call: Call) -> Answer:
    """GET a page of a list, with the exact number of all that match."""
    resource = resource_of(call)
    asked = query.read(engine.resources, resource, call.query)
    check_shown(call, asked.show)
    # Taken before the first page: a full load and then the feed from here on miss nothing.
    changes = "null" if asked.after else f'"{feed.written(await engine.watch.lately())}"'
    page = await store.find(engine.pool, engine.resources, resource, asked)
    count = "null" if page.count is None else page.count
    following = "null" if page.next_cursor is None else f'"{page.next_cursor}"'
    result = f'{{"count":{count},"rows":[{page.rows}],"nextCursor":{following},"changesCursor":{changes}}}'
    return Answer(result.encode(), headers={"Link": _next(call, page.next_cursor)} if page.next_cursor else {})


def _next(call: Call, cursor: str) -> str:
    """The same list behind a cursor, as RFC 8288 links it."""
    given = query.parameters(call.query)
    kept = {name: value for name, value in given.items() if name not in ("cursor", "offset")}
    return f'<{call.scope["path"]}?{urlencode(kept | {"cursor": cursor})}>; rel="next"'


async def get_one(engine: Engine, call: Call) -> Answer:
    """GET a record by our id if it has the form of one and is known, else by its external id."""
    asked = asked_of(call)
    record_id = internal_id(call.path["id"])
    found = await _by_id(engine, call, record_id, asked) if record_id else None
    found = found or await _by_external_id(engine, call, external_id_of(call, "id"), asked)
    return _unless_held(call, found, asked)


async def get_by_external_id(engine: Engine, call: Call) -> Answer:
    """GET a record by its external id, also when that looks like one of our ids."""
    asked = asked_of(call)
    return _unless_held(call, await _by_external_id(engine, call, external_id_of(call), asked), asked)


async def get_by_id(engine: Engine, call: Call) -> Answer:
    """GET a record by our id alone."""
    asked = asked_of(call)
    return _unless_held(call, await _by_id(engine, call, record_id_of(call), asked), asked)


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a record is to be shown, and whether it may be a deleted one."""

    show: tuple[Field | Reference, ...]
    deleted: bool


def asked_of(call: Call) -> Asked:
    """Read `fields`, `expand` and `includeDeleted` of the query."""
    given = query.parameters(call.query)
    query.refuse_unknown(given, ("fields", "expand", "includeDeleted"))
    problems: list[Problem] = []
    asked = Asked(query.show(resource_of(call), given, problems), query.flag(given, "includeDeleted", False, problems))
    if problems:
        raise ValidationFailed(problems)
    if given:
        check_shown(call, asked.show)
    return asked


async def _by_id(engine: Engine, call: Call, record_id: UUID, asked: Asked) -> store.Shown | None:
    return await store.get_by_id(
        engine.reader, engine.resources, resource_of(call), record_id, asked.show, deleted=asked.deleted
    )


async def _by_external_id(engine: Engine, call: Call, external_id: str, asked: Asked) -> store.Shown | None:
    return await store.get_by_external_id(
        engine.reader, engine.resources, resource_of(call), external_id, asked.show, deleted=asked.deleted
    )


def _unless_held(call: Call, shown: store.Shown | None, asked: Asked) -> Answer:
    """Answer with one record, or 304 to who has it as it is."""
    answer, held = one(shown), tags(call, b"if-none-match")
    if held and shown and ("*" in held or (str(shown.version) in held and not _shows_others(asked.show))):
        return Answer(b"", 304, answer.headers)
    return answer


def _shows_others(show: Iterable[Field | Reference]) -> bool:
    """Whether something that is shown may change while the record's version stays.

    Other records are such, shown by themselves or in an array's items; so is a place in a tree, which moves with the
    records above it.
    """
    return any(
        isinstance(each, Reference)
        or isinstance(each.derived, Lineage)
        or (isinstance(each.kind, InnerArray) and bool(each.kind.references))
        for each in show
    )


def one(shown: store.Shown | None) -> Answer:
    """Answer with one record, its version as the ETag; ResourceNotFound where there is none."""
    if shown is None:
        raise ResourceNotFound
    return Answer(shown.json.encode(), headers={"ETag": f'"{shown.version}"'})


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


def record_id_of(call: Call) -> UUID:
    """Our id in the URL, checked."""
    record_id = internal_id(call.path["id"])
    if record_id is None:
        raise ValidationFailed([Problem("id", "INVALID_UUID", "expected a uuid in the URL")])
    return record_id


def internal_id(text: str) -> UUID | None:
    """The id that a text is, or None if it has not the form of one."""
    try:
        return Uuid().parse(text)
    except ValueError:
        return None


def refuse_parameters(call: Call) -> None:
    """Refuse every parameter, on a route that has none."""
    if call.query:
        query.refuse_unknown(query.parameters(call.query), ())
