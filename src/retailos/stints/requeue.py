"""A requeue: failed deliveries owed again, or dismissed, those that an operator means, some at a time."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from retailos.database.pool import Connection
from retailos.database.statements import load
from retailos.deliveries import register
from retailos.deliveries.selection import Selection
from retailos.stints.operation import Held, Moved

_SQL = load(__file__)
_COUNT, _FIND, _REQUEUE = _SQL.count, _SQL.find, _SQL.requeue
_COUNT_DISMISSED, _FIND_DISMISSED = _SQL.count_dismissed, _SQL.find_dismissed


async def count(connection: Connection, webhook_id: int, selection: Selection) -> int:
    """How many deliveries of a webhook are meant now."""
    statement = _COUNT_DISMISSED if selection.status == "dismissed" else _COUNT
    found: int = await connection.fetchval(statement, webhook_id, *_which(selection, selection.until))
    return found


async def requeue(transaction: Connection, held: Held, take: int) -> Moved:
    """Owe the next `take` deliveries of a requeue again; the newest state of each record is sent."""
    selection = Selection.of(held.selection)
    which = _which(selection, selection.until_began(held.created_at))
    if selection.status == "dismissed":
        rows = await transaction.fetch(_FIND_DISMISSED, held.webhook_id, *which, held.after_id, take)
        found = [row["record_id"] for row in rows]
        done = await register.owe(transaction, held.webhook_id, found, [row["wanted"] for row in rows])
    else:
        found = await _failed(transaction, held, which, take)
        done = await transaction.fetchval(_REQUEUE, held.webhook_id, found)
    return _moved(held, found, done, take)


async def dismiss(transaction: Connection, held: Held, take: int) -> Moved:
    """Set the next `take` failed deliveries aside: they are settled until their records change, or somebody asks."""
    selection = Selection.of(held.selection)
    found = await _failed(transaction, held, _which(selection, selection.until_began(held.created_at)), take)
    return _moved(held, found, await register.dismiss(transaction, held.webhook_id, found, take), take)


async def _failed(transaction: Connection, held: Held, which: tuple[object, ...], take: int) -> list[UUID]:
    """The next that are meant; they are found first and held then, since one that a write has owed meanwhile is not."""
    rows = await transaction.fetch(_FIND, held.webhook_id, *which, held.after_id, take)
    return [row["record_id"] for row in rows]


def _moved(held: Held, found: Sequence[UUID], done: int, take: int) -> Moved:
    after = found[-1] if found else held.after_id
    return Moved(done=done, skipped=len(found) - done, after_id=after, ended=len(found) < take)


def _which(selection: Selection, until: datetime | None) -> tuple[object, ...]:
    return (selection.since, until, selection.error_classes, selection.record_ids, selection.http_statuses)
