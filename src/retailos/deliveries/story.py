"""What happened to a record on its way to one webhook, in order: read, and told by `telling`."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from retailos.database.pool import Connection
from retailos.database.statements import load
from retailos.declare.values import printed
from retailos.deliveries import openings
from retailos.deliveries.telling import Change, Standing, Tried, told
from retailos.webhooks.webhook import Webhook

_SQL = load(__file__)
_CHANGES, _ATTEMPTS, _REGISTER = _SQL.changes, _SQL.attempts, _SQL.register

#: Changes, and attempts, that are told of.
TOLD_MOST = 200


class Happening(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One thing that happened: when, what as a sentence, of which version, and in which request."""

    at: str
    text: str
    version: int
    request_id: UUID | None


class Story(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What happened to a record on its way to a webhook, the oldest first, as far as the history is kept."""

    webhook_id: int
    record_id: UUID
    #: How the delivery stands; null: the webhook was never owed the record.
    status: str | None
    wanted: int
    acknowledged: int
    happenings: tuple[Happening, ...]


async def story(connection: Connection, webhook: Webhook, record_id: UUID) -> Story:
    """Tell what happened."""
    changes = await connection.fetch(_CHANGES, webhook.resource, record_id, TOLD_MOST)
    attempts = await connection.fetch(_ATTEMPTS, webhook.id, record_id, TOLD_MOST)
    row = await connection.fetchrow(_REGISTER, webhook.id, record_id)
    standing = (
        None
        if row is None
        else Standing(
            at=row["settled_at"] or datetime.now(UTC),
            status=row["status"],
            wanted=row["wanted"],
            acknowledged=row["acknowledged"],
            due_at=row["due_at"] if isinstance(row["due_at"], datetime) else None,
            held_since=webhook.held_since,
            skipped_why=row["skipped_why"],
        )
    )
    first = min((each["at"] for each in (*changes, *attempts)), default=datetime.now(UTC))
    lines = told(
        [Change(**each) for each in changes],
        [Tried(**{name: each[name] for name in Tried.__slots__}) for each in attempts],
        standing,
        await openings.held(connection, webhook.id, first, TOLD_MOST),
    )
    return Story(
        webhook_id=webhook.id,
        record_id=record_id,
        status=None if row is None else row["status"],
        wanted=row["wanted"] if row else 0,
        acknowledged=row["acknowledged"] if row else 0,
        happenings=tuple(
            Happening(at=printed(each.at), text=each.text, version=each.version, request_id=each.request_id)
            for each in lines
        ),
    )
