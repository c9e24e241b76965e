"""A backfill and a resync: records that exist are owed to a webhook, some at a time, also where nobody changes them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from retailos.database.pool import Connection
from retailos.database.statements import load
from retailos.declare.resource import Resources
from retailos.deliveries import register
from retailos.records import known_sql
from retailos.stints.operation import BEFORE_ALL, Held, Moved

_SQL = load(__file__)
_SETTLE_DOWN = _SQL.settle_down

#: A resync that owes only versions which the webhook was never owed, as after it was disabled.
ONLY_BEHIND: Final[Mapping[str, Any]] = MappingProxyType({"behind": True})


async def resync(transaction: Connection, resources: Resources, held: Held, take: int) -> Moved:
    """Owe the next `take` records that live, or that the webhook knows: once more, or where it is behind.

    A backfill is about the records that were there before the webhook, and leaves alone what it knows.
    """
    if held.after_id == BEFORE_ALL and not await transaction.fetchval(_SETTLE_DOWN, held.id):
        return Moved(done=0, skipped=0, after_id=held.after_id, ended=False)
    resource = resources[held.resource]
    rows = await transaction.fetch(known_sql.known_to(resource), held.webhook_id, held.after_id, held.created_at, take)
    known_only, again = held.kind == "resync", held.kind == "resync" and not held.selection.get("behind")
    told = [row for row in rows if row["lives"] or (known_only and row["wanted"] is not None)]
    done = await register.owe(
        transaction, held.webhook_id, [row["id"] for row in told], [row["version"] for row in told], again=again
    )
    after = rows[-1]["id"] if rows else held.after_id
    return Moved(done=done, skipped=len(told) - done, after_id=after, ended=len(rows) < take)
