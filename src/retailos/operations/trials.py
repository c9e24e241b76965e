"""One webhook and one record: tried without effect, owed now, and the story of what happened between them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import msgspec

from retailos.database.pool import Connection, Pool, acquire, transaction
from retailos.declare.field import Field, switch
from retailos.declare.kind import expected
from retailos.declare.object import read_object
from retailos.declare.resource import Resources
from retailos.declare.texts import Text
from retailos.declare.values import Uuid
from retailos.deliveries import register
from retailos.deliveries import story as stories
from retailos.deliveries.name import delivery_id
from retailos.deliveries.story import Story
from retailos.errors import Problem, ResourceNotFound, ValidationFailed
from retailos.exchanges.addresses import Policy
from retailos.records import known_sql, named_sql
from retailos.secrets import read_ring
from retailos.sending import trial
from retailos.sending.trial import Trial
from retailos.settings import Settings
from retailos.webhooks import orders
from retailos.webhooks.webhook import Webhook

#: Which record is meant; none: the one that changed last.
RECORD_FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "externalId": Field(name="externalId", kind=Text(255, least=1)),
        "recordId": Field(name="recordId", kind=Uuid()),
    }
)
TRIAL_FIELDS: Final[Mapping[str, Field]] = MappingProxyType({**RECORD_FIELDS, "dryRun": switch("dryRun")})


class Triggered(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A record that a webhook is owed once more, whatever it has acknowledged."""

    delivery_id: str
    record_id: UUID
    version: int


async def try_webhook(pool: Pool, resources: Resources, settings: Settings, webhook_id: int, body: Any) -> Trial:
    """Send a webhook what it would be sent of a record, or only show it; registers and history stay as they are."""
    said = _read(TRIAL_FIELDS, body)
    webhook = await orders.webhook(pool, webhook_id)
    async with acquire(pool) as connection:
        record_id = await _record(connection, resources, webhook, said)
        record = await trial.read(connection, resources, webhook, record_id)
        request = trial.request_of(resources, webhook, record)
        if said["dryRun"]:
            return trial.shown(record, request, None)
        opened = await orders.opened_now(connection, read_ring(settings.encryption_keys), webhook)
    if opened is None:
        # Somebody has changed it meanwhile.
        return await try_webhook(pool, resources, settings, webhook_id, body)
    policy = Policy(allow=settings.allow_addresses)
    reply = await trial.send(policy, opened, trial.request_of(resources, opened, record))
    return trial.shown(record, request, reply)


async def trigger(pool: Pool, resources: Resources, webhook_id: int, body: Any) -> Triggered:
    """Owe a webhook one record once more, now; ValidationFailed where nothing would be sent of it."""
    said = _read(RECORD_FIELDS, body)
    webhook = await orders.webhook(pool, webhook_id)
    async with transaction(pool) as connection:
        record_id = await _record(connection, resources, webhook, said)
        path = next((f"/{name}" for name in RECORD_FIELDS if said.get(name) is not None), "")
        record = await trial.told_once_more(connection, resources, webhook, record_id, path)
        await register.owe(connection, webhook.id, [record_id], [record.version])
    return Triggered(delivery_id=delivery_id(webhook.id, record_id), record_id=record_id, version=record.version)


async def explain(pool: Pool, resources: Resources, webhook_id: int, said: Mapping[str, Any]) -> Story:
    """Tell what happened to a record on its way to a webhook, in order."""
    webhook = await orders.webhook(pool, webhook_id)
    async with acquire(pool) as connection:
        record_id = await _record(connection, resources, webhook, said)
        return await stories.story(connection, webhook, record_id)


async def _record(connection: Connection, resources: Resources, webhook: Webhook, said: Mapping[str, Any]) -> UUID:
    resource = resources[webhook.resource]
    if said.get("recordId") is not None:
        found = await connection.fetch(named_sql.external_ids(resource), [UUID(said["recordId"])])
        record_id = found[0]["id"] if found else None
    elif said.get("externalId") is not None:
        record_id = await connection.fetchval(named_sql.named(resource, "$1"), said["externalId"])
    else:
        record_id = await connection.fetchval(known_sql.newest(resource))
    if record_id is None:
        raise ResourceNotFound(
            f"There is no such {resource.name}; write one, or name another by externalId or recordId."
        )
    return UUID(str(record_id))


def _read(fields: Mapping[str, Field], body: Any) -> dict[str, Any]:
    if type(body) is not dict:
        raise ValidationFailed([expected("an object that may name a record", body, "")])
    said, problems = read_object(fields, "request", body)
    if said.get("externalId") is not None and said.get("recordId") is not None:
        problems.append(Problem("/recordId", "REFERENCE_CONFLICT", "expected externalId or recordId, not both"))
    if problems:
        raise ValidationFailed(problems)
    return said
