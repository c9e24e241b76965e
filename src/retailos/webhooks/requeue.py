"""A requeue: failed deliveries owed again, those that an operator means, some at a time."""

from datetime import datetime

from retailos.database.pool import Connection
from retailos.database.statements import load
from retailos.webhooks.operation import Held, Moved
from retailos.webhooks.selection import Selection

_SQL = load(__file__)
_COUNT, _REQUEUE = _SQL.count, _SQL.requeue


async def count(connection: Connection, webhook_id: int, selection: Selection) -> int:
    """How many deliveries of a webhook a requeue would take now."""
    found: int = await connection.fetchval(_COUNT, webhook_id, *_which(selection, selection.until))
    return found


async def requeue(transaction: Connection, held: Held, take: int) -> Moved:
    """Owe the next `take` deliveries of a requeue again; the newest state of each record is sent."""
    selection = Selection.of(held.selection)
    which = _which(selection, selection.until_began(held.created_at))
    row = await transaction.fetchrow(_REQUEUE, held.webhook_id, *which, held.after_id, take)
    assert row is not None  # noqa: S101 - a select of counts gives a row
    found, moved = row["found"], row["moved"]
    return Moved(done=moved, skipped=found - moved, after_id=row["last"] or held.after_id, ended=found < take)


def _which(selection: Selection, until: datetime | None) -> tuple[object, ...]:
    classes, records = selection.error_classes, selection.record_ids
    return (
        selection.since,
        until,
        None if classes is None else list(classes),
        None if records is None else list(records),
    )
