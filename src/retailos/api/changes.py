"""What the route of the change feed does: read on from a cursor, and wait for something to tell."""

import time
from dataclasses import dataclass
from functools import partial

from retailos.api.access import CHECK_SECONDS, check_again, check_shown
from retailos.api.body import EVENTS, wants_events
from retailos.api.call import Answer, Call, Engine, Stream
from retailos.api.change_stream import Source, change_events, nothing
from retailos.api.change_view import page
from retailos.api.envelope import encode
from retailos.declare.field import Reference
from retailos.declare.names import did_you_mean
from retailos.errors import Forbidden, Problem, Unavailable, ValidationFailed
from retailos.records import feed, query
from retailos.records.feed import Position, Read

LIMIT_DEFAULT = 100
LIMIT_MOST = 1_000
#: Longer than this, proxies between us give up.
WAIT_SECONDS_MOST = 30
#: Whoever finds all streams taken may ask again when one has ended, which nobody can foresee.
SLOT_SECONDS = 5
_PARAMETERS = ("resources", "since", "limit", "expand", "wait")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which changes are wanted, and how they are shown."""

    names: tuple[str, ...]
    since: str
    limit: int
    expand: tuple[str, ...]
    wait: int


async def get_changes(engine: Engine, call: Call) -> Answer | Stream:
    """GET the changes behind a cursor, each record once at its newest; store `nextCursor` once they are processed.

    With `Accept: text/event-stream` they are streamed as they happen.
    """
    asked = _asked(engine, call)
    _check_scopes(engine, call, asked)
    since = feed.read_cursor(asked.since) or await feed.now(engine.pool)
    if wants_events(call):
        return await _stream(engine, call, asked, since)
    return Answer(encode(page(await _read_or_wait(engine, call, asked, since))))


async def _read_or_wait(engine: Engine, call: Call, asked: Asked, since: Position) -> Read:
    """Read at once, or as soon as there is something within the seconds that the caller waits.

    Raises Unauthorized or Forbidden where the key is taken away meanwhile.
    """
    deadline = time.monotonic() + asked.wait
    found = await _read(engine, asked, since)
    while not found.changes and time.monotonic() < deadline and not engine.watch.closed:
        await _wait(engine, call, asked, found.position, deadline)
        found = await _read(engine, asked, found.position)
    return found


async def _wait(engine: Engine, call: Call, asked: Asked, since: Position, deadline: float) -> None:
    """Wait until the feed is beyond a position, or for the deadline; see meanwhile whether the key still lives."""
    moved, left = False, deadline - time.monotonic()
    while not moved and left > 0 and not engine.watch.closed:
        moved = await engine.watch.beyond(since, min(CHECK_SECONDS, left))
        left = deadline - time.monotonic()
        try:
            await _check(engine, call, asked)
        except Unavailable:
            # Nothing is told before the key was seen to live; while the database is away, there is nothing to tell.
            if moved or left <= 0:
                raise


async def _stream(engine: Engine, call: Call, asked: Asked, since: Position) -> Stream:
    """Begin a stream; what is wrong with its cursor is found before, so that the refusal has a status."""
    first = await _read(engine, asked, since)
    slots = engine.stream_slots
    if slots.locked():
        message = "This server has as many streams open as it keeps; read with `wait`, or ask again a little later."
        raise Unavailable(message, retry_after_seconds=SLOT_SECONDS)
    await slots.acquire()

    async def read(position: Position) -> Read:
        return await _read(engine, asked, position)

    source = Source(watch=engine.watch, read=read, check=partial(_check, engine, call, asked))
    chunks = nothing() if call.scope["method"] == "HEAD" else change_events(source, first)
    return Stream(media_type=EVENTS, chunks=chunks, ended=slots.release)


async def _check(engine: Engine, call: Call, asked: Asked) -> None:
    """Raise what the call would be answered with, were it made only now."""
    await check_again(engine, call)
    _check_scopes(engine, call, asked)


async def _read(engine: Engine, asked: Asked, since: Position) -> Read:
    shown = {name: tuple(each.name for each in _expanded(engine, asked, name)) for name in asked.names}
    return await feed.read(engine.pool, engine.resources, asked.names, since, asked.limit, shown)


def _expanded(engine: Engine, asked: Asked, name: str) -> list[Reference]:
    """The references of a resource that are to be shown."""
    return [each for each in engine.resources[name].references if each.name in asked.expand]


def _asked(engine: Engine, call: Call) -> Asked:
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
    if wait and wants_events(call):
        problems.append(Problem("wait", "NOT_SETTABLE", "expected no wait for a stream, which waits by itself"))
    if problems:
        raise ValidationFailed(problems)
    since = _last_event(call) or given.get("since", "beginning")
    return Asked(names=names, since=since, limit=limit, expand=expand, wait=wait)


def _last_event(call: Call) -> str:
    """The id of the last event that an interrupted stream's reader has; it outranks `since`, which is from before."""
    given = call.headers(b"last-event-id") if wants_events(call) else ()
    return given[-1].decode("latin-1") if given else ""


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


def _check_scopes(engine: Engine, call: Call, asked: Asked) -> None:
    missing = [name for name in asked.names if call.key is None or not call.key.allows(f"{name}:read")]
    if missing:
        raise Forbidden(f"This key does not allow {missing[0]}:read; name the resources that it allows.")
    check_shown(call, (each for name in asked.names for each in _expanded(engine, asked, name)))
