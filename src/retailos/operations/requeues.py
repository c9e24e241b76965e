"""Requeues and dismissals: failed deliveries that an operator means are counted, and owed again or set aside."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import msgspec

from retailos.database.pool import Connection, Pool, acquire, transaction
from retailos.declare.field import Field, switch
from retailos.declare.kind import expected
from retailos.declare.object import read_object
from retailos.declare.resource import Resources
from retailos.declare.texts import Choice
from retailos.declare.values import Number
from retailos.deliveries import selection
from retailos.deliveries.selection import Selection, selection_problems
from retailos.errors import Problem, ValidationFailed
from retailos.records import named_sql
from retailos.stints import operation, requeue, stint
from retailos.stints.operation import By, Operation, Order
from retailos.webhooks import orders
from retailos.webhooks.webhook import Webhook

#: What a dismissal says: whose deliveries, and which of them.
DISMISSAL_FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "webhook": Field(name="webhook", kind=Number(1, 2**31 - 1)),
        "all": switch("all"),
        **selection.FIELDS,
        "dryRun": switch("dryRun"),
    }
)
_OF_REQUEUES: Final = (
    Field(name="status", kind=Choice(words=("failed", "dismissed")), default="failed", nullable=False),
    Field(name="rate", kind=Number(1, 100_000)),
)
#: What a requeue says: how fast, too, and that what was dismissed is meant.
REQUEUE_FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {**DISMISSAL_FIELDS, **{each.name: each for each in _OF_REQUEUES}}
)


class Requeued(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many deliveries are meant, and the operations that see to them, one for a webhook; none of a dry run."""

    #: The webhook that was named; null: all of them.
    webhook: int | None
    count: int
    dry_run: bool
    operations: tuple[Operation, ...]


async def requeue_failed(pool: Pool, resources: Resources, body: Any, by: By) -> Requeued:
    """Owe failed deliveries again, or only count them, or say field by field what of the request makes no sense.

    The first some hundred are owed at once, the others by workers. The newest state of each record is sent.
    """
    return await _begin(pool, resources, "requeue", _read(REQUEUE_FIELDS, body), by)


async def dismiss_failed(pool: Pool, resources: Resources, body: Any, by: By) -> Requeued:
    """Set failed deliveries aside, or only count them: they rest until their records change, or they are requeued."""
    return await _begin(pool, resources, "dismiss", _read(DISMISSAL_FIELDS, body), by)


async def _begin(pool: Pool, resources: Resources, kind: str, said: Mapping[str, Any], by: By) -> Requeued:
    known = await orders.webhooks(pool) if said["all"] else [await orders.webhook(pool, said["webhook"])]
    kept = await _resolved(pool, resources, known, said)
    chosen, count, begun = Selection.of(kept), 0, []
    rate = said.get("rate") and float(said["rate"])
    for webhook in known:
        async with transaction(pool) as connection:
            found = await requeue.count(connection, webhook.id, chosen)
            count += found
            if found and not said["dryRun"]:
                order = Order(kind=kind, webhook_id=webhook.id, total=found, selection=kept, rate=rate)
                begun.append(await stint.begin(connection, resources, order, by))
    return Requeued(webhook=said["webhook"], count=count, dry_run=said["dryRun"], operations=tuple(begun))


async def list_operations(pool: Pool, asked: operation.Asked) -> list[Operation]:
    """List operations, newest first."""
    return await operation.list_operations(pool, asked)


async def show_operation(pool: Pool, operation_id: UUID) -> Operation:
    """Show one operation, and how far it is."""
    return await operation.find(pool, operation_id)


async def cancel_operation(pool: Pool, operation_id: UUID) -> Operation:
    """End an operation after the step that is under way; what is done stays."""
    return await operation.cancel(pool, operation_id)


def _read(fields: Mapping[str, Field], body: Any) -> dict[str, Any]:
    if type(body) is not dict:
        raise ValidationFailed([expected("an object with a webhook's id", body, "")])
    said, problems = read_object(fields, "requeue", body)
    if not any(each.path == "/webhook" for each in problems) and (said["webhook"] is None) is not said["all"]:
        problems.append(Problem("/webhook", "REQUIRED", "expected a webhook's id, or else all: true"))
    if not {each.path for each in problems} & {"/since", "/until"}:
        problems.extend(selection_problems(said))
    if problems:
        raise ValidationFailed(problems)
    return said


async def _resolved(
    pool: Pool, resources: Resources, known: Sequence[Webhook], said: Mapping[str, Any]
) -> dict[str, Any]:
    """What is kept of a selection: moments, classes, statuses, and records by our ids, since theirs may be personal."""
    known_words = ("status", "since", "until", "errorClasses", "httpStatuses", "recordIds")
    kept = {name: said[name] for name in known_words if said.get(name) not in (None, "failed")}
    names = said["externalIds"]
    if names is not None:
        async with acquire(pool) as connection:
            found = await _records(connection, resources, {each.resource for each in known}, names)
        missing = [i for i, name in enumerate(names) if name not in found]
        if missing:
            message = "expected the external id of a record that there is"
            raise ValidationFailed([Problem(f"/externalIds/{i}", "UNKNOWN_RECORD", message) for i in missing])
        kept["recordIds"] = [*kept.get("recordIds", ()), *(str(each) for name in names for each in found[name])]
    return kept


async def _records(
    connection: Connection, resources: Resources, kinds: set[str], names: Sequence[str]
) -> dict[str, list[UUID]]:
    """The records of some resources that have, or had, these external ids."""
    found: dict[str, list[UUID]] = {}
    for kind in kinds:
        for name in names:
            record_id = await connection.fetchval(named_sql.named(resources[kind], "$1"), name)
            if record_id is not None:
                found.setdefault(name, []).append(record_id)
    return found
