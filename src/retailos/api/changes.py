"""What the route of the change feed does: read on from a cursor, and wait for something to tell."""

import asyncio
import time
from uuid import UUID

import msgspec

from retailos.api.call import Answer, Call, Engine
from retailos.api.envelope import encode
from retailos.declare.resource import did_you_mean
from retailos.declare.values import printed
from retailos.errors import Forbidden, Problem, ValidationFailed
from retailos.records import feed, query
from retailos.records.feed import Position, Read

LIMIT_DEFAULT = 100
LIMIT_MOST = 1_000
#: Longer than this, proxies between us give up.
WAIT_SECONDS_MOST = 30
_LOOK_SECONDS = 0.2
_PARAMETERS = ("resources", "since", "limit", "expand", "wait")


class ChangeView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A record that changed, as it is now."""

    resource: str
    id: UUID
    external_id: str
    operation: str
    version: int
    changed_at: str
    data: msgspec.Raw


class ChangesView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Changes, and the cursor to come back with once they are processed."""

    rows: list[ChangeView]
    next_cursor: str
    has_more: bool


async def get_changes(engine: Engine, call: Call) -> Answer:
    """GET the changes behind a cursor, each record once at its newest; store `nextCursor` once they are processed."""
    given = query.parameters(call.query)
    query.refuse_unknown(given, _PARAMETERS)
    problems: list[Problem] = []
    names = _resources(engine, call, given.get("resources"), problems)
    limit = query.whole(given, "limit", LIMIT_DEFAULT, LIMIT_MOST, problems)
    wait = query.whole(given, "wait", 0, WAIT_SECONDS_MOST, problems)
    expand = tuple(given["expand"].split(",")) if "expand" in given else ()
    known = {each.name for name in names for each in engine.resources[name].references}
    for each in expand:
        if each not in known:
            message = f"expected the name of a reference, got {each[:100]!r}{did_you_mean(each, known)}"
            problems.append(Problem("expand", "UNKNOWN_FIELD", message))
    if "limit" in given and limit == 0:
        problems.append(Problem("limit", "OUT_OF_RANGE", f"expected a whole number from 1 to {LIMIT_MOST}"))
    if problems:
        raise ValidationFailed(problems)
    _check_scopes(call, names)
    since = feed.read_cursor(given.get("since", "beginning")) or await feed.now(engine.pool)
    return Answer(encode(_view(await _read(engine, names, since, limit, expand, wait))))


async def _read(
    engine: Engine, names: tuple[str, ...], since: Position, limit: int, expand: tuple[str, ...], wait: int
) -> Read:
    """Read at once, or as soon as there is something within `wait` seconds."""
    shown = {name: tuple(each for each in expand if each in engine.resources[name].reference) for name in names}
    deadline = time.monotonic() + wait
    while True:
        read = await feed.read(engine.pool, engine.resources, names, since, limit, shown)
        left = deadline - time.monotonic()
        if read.changes or left <= 0:
            return read
        await asyncio.sleep(min(_LOOK_SECONDS, left))


def _resources(engine: Engine, call: Call, text: str | None, problems: list[Problem]) -> tuple[str, ...]:
    """The resources that are named, or all that the key may read."""
    if text is None:
        return tuple(name for name in engine.resources if call.key and call.key.allows(f"{name}:read"))
    names = tuple(dict.fromkeys(text.split(",")))
    strange = [name for name in names if name not in engine.resources]
    for name in strange[:10]:
        hint = did_you_mean(name, engine.resources)
        problems.append(Problem("resources", "UNKNOWN_CHOICE", f"expected resources, got {name[:100]!r}{hint}"))
    return tuple(name for name in names if name not in strange)


def _check_scopes(call: Call, names: tuple[str, ...]) -> None:
    missing = [name for name in names if call.key is None or not call.key.allows(f"{name}:read")]
    if missing:
        raise Forbidden(f"This key does not allow {missing[0]}:read; name the resources that it allows.")


def _view(read: Read) -> ChangesView:
    rows = [
        ChangeView(
            resource=each.resource,
            id=each.id,
            external_id=each.external_id,
            operation=each.operation,
            version=each.version,
            changed_at=printed(each.changed_at),
            data=msgspec.Raw(each.json.encode()),
        )
        for each in read.changes
    ]
    return ChangesView(rows=rows, next_cursor=feed.written(read.position), has_more=read.more)
