"""A schedule: what is done when a moment comes, and in the tick's own transaction, when it is due next."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from retailos.database.pool import Connection, Pool
from retailos.database.statements import load

_SQL = load(__file__)
_ARM, _DISARM = _SQL.arm, _SQL.disarm


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A moment that has come, for one subject of a kind; every clock here is the database's."""

    kind: str
    #: What it is about, such as a report's id; "" where the kind has only one.
    subject: str
    #: The moment that was planned.
    due_at: datetime
    #: The beginning of the tick's transaction; later than planned by as long as nobody was there.
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is done at each tick of a kind.

    `tick` runs in one transaction with the plan for the next tick, so that what it writes is done once, whoever dies;
    it gives the next moment, or None where there is no other. `afterwards` runs once that is committed, may take its
    time and wait for the network; it is cut off where the process dies. What must not be lost then is planned again by
    `tick` for when a lease is over, and disarmed by `afterwards`.
    """

    kind: str
    tick: Callable[[Connection, Tick], Awaitable[datetime | None]]
    afterwards: Callable[[Pool, Tick], Awaitable[None]] | None = None
    #: There is one for the whole installation, due for the first time when a worker first knows of it.
    standing: bool = False


def every(seconds: float, kind: str, work: Callable[[Pool], Awaitable[None]]) -> Schedule:
    """Upkeep that one worker does, whichever comes first; done twice at once, or cut off, it must do no harm."""

    async def tick(_transaction: Connection, tick: Tick) -> datetime:
        return tick.now + timedelta(seconds=seconds)

    async def afterwards(pool: Pool, _tick: Tick) -> None:
        await work(pool)

    return Schedule(kind=kind, tick=tick, afterwards=afterwards, standing=True)


async def arm(transaction: Connection, kind: str, subject: str, due_at: datetime | None = None) -> None:
    """Plan a tick, now unless told otherwise; one that was planned for the subject is moved."""
    await transaction.execute(_ARM, kind, subject, due_at)


async def disarm(transaction: Connection, kind: str, subject: str) -> None:
    """Plan no tick for the subject any more."""
    await transaction.execute(_DISARM, kind, subject)
