"""Drift: how far what a webhook's receiver has acknowledged is from what there is, counted in the registers."""

import msgspec

from retailos.database.pool import Connection
from retailos.database.statements import load
from retailos.declare.resource import Resource
from retailos.records import known_sql
from retailos.webhooks.webhook import Webhook

_SQL = load(__file__)
_STATES, _DUE = _SQL.states, _SQL.due

#: States of deliveries whose receiver has what it is to have.
AT_REST = ("delivered", "skipped")


class Drift(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The deliveries of a webhook by how they stand, and the records of which it was never told."""

    webhook_id: int
    #: Records that live.
    records: int
    matched: int = msgspec.field(name="inSync")
    #: Owed, under way, to be retried, or to be confirmed.
    behind: int
    #: Of those behind, what waits for an open breaker, and not for the time of its retry.
    held: int
    failed: int
    #: Failed, and set aside by a person.
    dismissed: int
    #: Records that live and were never owed; a backfill or a resync owes them.
    never_told: int


async def drift(connection: Connection, resource: Resource, webhook: Webhook) -> Drift:
    """Count the whole register of a webhook: a second for a million deliveries, and no locks."""
    states = {row["status"]: row["count"] for row in await connection.fetch(_STATES, webhook.id)}
    matched = sum(states.pop(name, 0) for name in AT_REST)
    failed, dismissed = states.pop("failed", 0), states.pop("dismissed", 0)
    behind = sum(states.values())
    return Drift(
        webhook_id=webhook.id,
        records=await count_living(connection, resource),
        matched=matched,
        behind=behind,
        held=0 if webhook.held_since is None else await connection.fetchval(_DUE, webhook.id),
        failed=failed,
        dismissed=dismissed,
        never_told=await connection.fetchval(known_sql.count_untold(resource), webhook.id),
    )


async def count_living(connection: Connection, resource: Resource) -> int:
    """How many records live, of which each is to be known to a receiver of all."""
    count: int = await connection.fetchval(known_sql.count_living(resource))
    return count
