"""Following: what a webhook is told of shows other records within, and is marked where one of these changes.

Each webhook that asks for it has a place of its own in the change feed. A step reads some changes of those resources
whose records go out within its own, or goes through some records that refer to what changed. It is one transaction with
the cursor, so that nothing is lost or begun anew whoever dies, and paced as an operation is.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from retailos.database.pool import Connection
from retailos.database.statements import load
from retailos.declare.field import Reference
from retailos.declare.resource import Resource, Resources
from retailos.deliveries import register
from retailos.errors import CursorExpired, InvalidCursor
from retailos.records import feed
from retailos.records.feed import Position
from retailos.records.referring_sql import living, referring
from retailos.schedule import Schedule, Tick, arm, disarm
from retailos.stints import feeding, operation
from retailos.stints.operation import BEFORE_ALL
from retailos.webhooks import orders
from retailos.webhooks.scope import Scope
from retailos.webhooks.shape import shown_by
from retailos.webhooks.webhook import Webhook

_SQL = load(__file__)
_BEGIN, _FIND, _SAVE, _FORGET = _SQL.begin, _SQL.find, _SQL.save, _SQL.forget

#: The kind of schedule that it is done by, with the webhook's id as the subject.
TICKS: Final = "related records"
#: How long a change may stand in the feed before somebody looks.
LOOK_SECONDS: Final = 1.0
#: Changes whose references are gone through together.
CHANGES_MOST: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a webhook is: in the feed, and in what refers to the records that were read there last."""

    position: Position
    #: None: any record may have changed.
    changed: tuple[UUID, ...] | None = ()
    #: Which of the references that are shown, and behind which record.
    place: int = 0
    after_id: UUID = BEFORE_ALL
    ahead: int = feeding.AHEAD_FIRST

    @property
    def at_rest(self) -> bool:
        """Whether nothing is left to be gone through."""
        return self.changed == ()


def following(resources: Resources) -> Schedule:
    """The schedule by which webhooks that say so follow the records that they show within their own."""
    return Schedule(kind=TICKS, tick=partial(_tick, resources))


async def plan(transaction: Connection, webhook_id: int, scope: Scope) -> None:
    """Have a webhook follow what changes from now on, or nothing, as it says."""
    if scope.marks:
        xid, seq, timeline = await feed.end(transaction)
        await transaction.execute(_BEGIN, webhook_id, str(xid), seq, timeline, feeding.AHEAD_FIRST)
        await arm(transaction, TICKS, str(webhook_id))
    else:
        await disarm(transaction, TICKS, str(webhook_id))
        await transaction.execute(_FORGET, webhook_id)


async def _tick(resources: Resources, transaction: Connection, tick: Tick) -> datetime | None:
    webhook_id = int(tick.subject)
    webhook = await orders.find(transaction, webhook_id)
    if webhook is None:
        await transaction.execute(_FORGET, webhook_id)
        return None
    pause_seconds = LOOK_SECONDS
    # What changes while it is disabled is gone through once it is enabled, as a resync does with its own records.
    if not webhook.disabled:
        pause_seconds = await _step(transaction, resources, webhook)
    return tick.now + timedelta(seconds=pause_seconds)


async def _step(transaction: Connection, resources: Resources, webhook: Webhook) -> float:
    """Go on by some records, and give in how many seconds to do so again."""
    resource = resources[webhook.resource]
    references = tuple(each for each in shown_by(webhook.shape, resource) if isinstance(each, Reference))
    held = await _find(transaction, webhook.id)
    cursor = await _read(transaction, references, held) if held.at_rest else held
    pause_seconds = LOOK_SECONDS
    if not cursor.at_rest:
        # To a webhook that is paused nothing goes out: all that it is owed accumulates, and outlives the feed.
        waiting = await operation.count_waiting(transaction, webhook.id, cursor.ahead) if webhook.active else 0
        fed = feeding.feed(cursor.ahead, waiting, None)
        cursor = replace(cursor, ahead=fed.ahead)
        if fed.take:
            cursor = await _mark(transaction, webhook.id, resource, references, cursor, fed.take)
        pause_seconds = fed.pause_seconds
    if cursor != held:
        await _save(transaction, webhook.id, cursor)
    return pause_seconds


async def _read(transaction: Connection, references: tuple[Reference, ...], cursor: Cursor) -> Cursor:
    """Read what changed; where the feed has forgotten some of it, or is another, any record may have."""
    wanted = sorted({each.to for each in references})
    try:
        changed, position = await feed.changed(transaction, wanted, cursor.position, CHANGES_MOST)
    except (CursorExpired, InvalidCursor):
        return Cursor(position=await feed.end(transaction), changed=None)
    return replace(cursor, position=position, changed=changed)


async def _mark(
    transaction: Connection,
    webhook_id: int,
    resource: Resource,
    references: tuple[Reference, ...],
    cursor: Cursor,
    take: int,
) -> Cursor:
    """Mark the next records by one reference; once, since a transaction locks registers in the order of their ids."""
    while not cursor.at_rest:
        if cursor.changed is None:
            rows = await transaction.fetch(living(resource), cursor.after_id, take)
        elif cursor.place < len(references):
            statement = referring(resource, references[cursor.place])
            rows = await transaction.fetch(statement, cursor.changed, cursor.after_id, take)
        else:
            return replace(cursor, changed=(), place=0)
        cursor = _passed(cursor, rows[-1]["id"] if len(rows) == take else None)
        if rows:
            await register.mark(transaction, webhook_id, [row["id"] for row in rows], [row["version"] for row in rows])
            return cursor
    return cursor


def _passed(cursor: Cursor, last_id: UUID | None) -> Cursor:
    """The cursor behind a record; None: behind the last one that refers by this reference."""
    if last_id is not None:
        return replace(cursor, after_id=last_id)
    if cursor.changed is None:
        return replace(cursor, changed=(), after_id=BEFORE_ALL)
    return replace(cursor, place=cursor.place + 1, after_id=BEFORE_ALL)


async def _find(transaction: Connection, webhook_id: int) -> Cursor:
    row = await transaction.fetchrow(_FIND, webhook_id)
    if row is None:
        raise LookupError(f"expected the cursor of webhook {webhook_id}, which its schedule was planned with")
    return Cursor(
        position=Position(int(row["xid"]), row["seq"], row["timeline"]),
        changed=None if row["changed"] is None else tuple(row["changed"]),
        place=row["place"],
        after_id=row["after_id"],
        ahead=row["ahead"],
    )


async def _save(transaction: Connection, webhook_id: int, cursor: Cursor) -> None:
    xid, seq, timeline = cursor.position
    await transaction.execute(
        _SAVE, webhook_id, str(xid), seq, timeline, cursor.changed, cursor.place, cursor.after_id, cursor.ahead
    )
