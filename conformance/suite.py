"""A run of the suite: a door for each behaviour, a sender that is told of all of them, one change, and the verdicts."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from time import monotonic

from conformance.behaviours import Behaviour, Should
from conformance.door import Door, hostile
from conformance.judge import Told, acknowledged, misses
from conformance.sender import Sender
from conformance.waiting import until


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one behaviour."""

    behaviour: Behaviour
    requests: int
    misses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long is waited for what should happen, and for what should not, in seconds."""

    #: For requests that should come.
    most: float = 30.0
    #: For requests that should not come, once all that should have come.
    quiet: float = 5.0


async def run(behaviours: Sequence[Behaviour], sender: Sender, told: Told, patience: Patience) -> list[Result]:
    """Meet a sender with every behaviour at once, and judge what it made of them."""
    async with AsyncExitStack() as stack:
        doors = [await stack.enter_async_context(_door(each)) for each in behaviours]
        for behaviour, door in zip(behaviours, doors, strict=True):
            await sender.point(behaviour.name, door.url)
        await sender.write()
        await until(lambda: all(map(_settled, behaviours, doors)), patience.most)
        await asyncio.sleep(patience.quiet)
        return [_result(behaviour, door, told) for behaviour, door in zip(behaviours, doors, strict=True)]


def _door(behaviour: Behaviour) -> AbstractAsyncContextManager[Door]:
    first = 0 if behaviour.away_seconds else 1
    return hostile(
        behaviour.play,
        scheme=behaviour.scheme,
        hostile_visits=None if behaviour.should is Should.RETURN else first,
        away_seconds=behaviour.away_seconds,
    )


def _settled(behaviour: Behaviour, door: Door) -> bool:
    """Whether all that should come has come."""
    match behaviour.should:
        case Should.AGAIN:
            return acknowledged(door.visits) > 0
        case Should.CONFIRM:
            return acknowledged(door.visits) > 1
        case Should.RETURN:
            return door.connections > 1
        case _:
            return door.connections > 0


def _result(behaviour: Behaviour, door: Door, told: Told) -> Result:
    requests = sum(len(visit.asked) for visit in door.visits)
    return Result(behaviour=behaviour, requests=requests, misses=misses(behaviour, door.visits, told, monotonic()))
