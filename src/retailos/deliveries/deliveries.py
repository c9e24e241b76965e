"""What became of it: deliveries and their attempts, as people ask for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.declare.resource import Resource, Resources
from retailos.declare.values import printed
from retailos.deliveries.job import job_id, record_of
from retailos.deliveries.name import delivery_id
from retailos.errors import ResourceNotFound
from retailos.exchanges.exchange import ErrorClass, class_of_status
from retailos.records import named_sql
from retailos.webhooks.webhook import Webhook

_SQL = load(__file__)
_LIST, _LIST_WAITING, _COUNT, _ATTEMPTS = _SQL.list, _SQL.list_waiting, _SQL.count, _SQL.attempts
_OF_JOB, _SINCE = _SQL.of_job, _SQL.since

STATUSES = ("owed", "sending", "retrying", "confirming", "delivered", "skipped", "failed", "dismissed")
_WAITING = ("owed", "retrying", "confirming", "failed")
#: Attempts that are shown of one delivery.
ATTEMPTS_MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which deliveries are wanted: each None stands for any."""

    webhook_id: int | None = None
    status: str | None = None
    external_id: str | None = None
    #: What is told of.
    resource: str | None = None
    error_class: str | None = None
    #: With what the last attempt was answered, where it failed.
    http_status: int | None = None
    #: Settled last from this moment on, and before that one.
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 50
    offset: int = 0
    with_count: bool = False


class Delivery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one webhook is owed of one record, as it is shown."""

    id: str
    webhook_id: int
    job_id: UUID
    queue_name: str | None
    resource: str | None
    record_id: UUID
    external_id: str | None
    status: str
    wanted: int
    acknowledged: int
    attempts: int
    ambiguous: bool
    error_class: str | None
    #: Why nothing was sent, where it was skipped; null: an earlier version of the program did not keep it.
    skipped_why: str | None
    settled_at: str | None
    #: When it is sent next; null: never, as things stand.
    next_attempt_at: str | None


class AttemptBatch(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The batch that an attempt went out with, as it is shown."""

    #: Records.
    size: int
    #: Of the request's body.
    bytes: int
    #: What of the answer was passed over.
    warnings: tuple[str, ...]


class Attempt(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One HTTP exchange, as it is shown: the answer as JSON where it is, else as text.

    Of the answer to a batch it is the part about this record, where the record was not taken; else the whole.
    """

    request_id: UUID
    at: str
    number: int
    version: int
    #: This version, or a later one, had been acknowledged: it was sent once more to confirm it, or on demand.
    again: bool
    url: str
    status: int | None
    error_class: str | None
    detail: str | None
    milliseconds: float
    response_headers: Any
    response_body: Any
    response_truncated: bool
    #: Null: the record went out alone.
    batch: AttemptBatch | None


class DeliveryWithAttempts(Delivery, frozen=True, kw_only=True, rename="camel"):
    """A delivery with the attempts that were made, newest first."""

    attempt_history: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A page of deliveries, and how many there are in all, where that was asked."""

    count: int | None
    rows: tuple[Delivery, ...]


async def find(pool: Pool, resources: Resources, orders: Sequence[Webhook], asked: Asked) -> Found:
    """Find deliveries, in the register's order."""
    async with acquire(pool) as connection:
        records = None if asked.external_id is None else await _records(connection, resources, asked.external_id)
        statement = _LIST_WAITING if asked.status in _WAITING else _LIST
        of_resource = None if asked.resource is None else [e.id for e in orders if e.resource == asked.resource]
        which = (
            asked.webhook_id,
            asked.status,
            records,
            asked.error_class,
            asked.since,
            asked.until,
            of_resource,
            asked.http_status,
            None if asked.http_status is None else _classes(asked.http_status),
        )
        rows = await connection.fetch(statement, *which, asked.limit, asked.offset)
        count = await connection.fetchval(_COUNT, *which) if asked.with_count else None
        names = await external_ids(connection, resources, orders, rows)
    by_id = {each.id: each for each in orders}
    return Found(count, tuple(Delivery(**_shown(row, by_id.get(row["webhook_id"]), names)) for row in rows))


async def one(
    pool: Pool, resources: Resources, orders: Sequence[Webhook], webhook_id: int, record_id: UUID
) -> DeliveryWithAttempts:
    """Give one delivery with its attempts; ResourceNotFound if there is none."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_LIST, webhook_id, None, [record_id], *[None] * 6, 1, 0)
        if row is None:
            raise ResourceNotFound("There is no such delivery; GET /v2/admin/deliveries lists them.")
        names = await external_ids(connection, resources, orders, [row])
        attempts = await connection.fetch(_ATTEMPTS, webhook_id, record_id, ATTEMPTS_MOST)
    order = next((each for each in orders if each.id == webhook_id), None)
    history = tuple(_attempt(each) for each in attempts)
    return DeliveryWithAttempts(**_shown(row, order, names), attempt_history=history)


async def of_job(
    pool: Pool, resources: Resources, orders: Sequence[Webhook], job: UUID
) -> tuple[Delivery, str | None] | None:
    """Give the delivery that a job is, and since when there has been something to tell; None if it is none."""
    webhooks = [each.id for each in orders]
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_OF_JOB, webhooks, [record_of(each, job) for each in webhooks])
        if row is None:
            return None
        since = await connection.fetchval(_SINCE, row["record_id"], min(row["acknowledged"], row["wanted"] - 1))
        names = await external_ids(connection, resources, orders, [row])
    order = next(each for each in orders if each.id == row["webhook_id"])
    return Delivery(**_shown(row, order, names)), _printed(since)


def _classes(status: int) -> list[str]:
    """The classes of failures with a status; a batch that is answered with a 2xx may have been taken in part."""
    found = class_of_status(status)
    return [found] if found else [ErrorClass.RECORD_REFUSED, ErrorClass.INVALID_BATCH_ANSWER]


async def _records(connection: Connection, resources: Resources, external_id: str) -> list[UUID]:
    """The records of every resource that have or had an external id, be they merged into others by now."""
    found = [await connection.fetchval(named_sql.named(resource, "$1"), external_id) for resource in resources.values()]
    return [each for each in found if each is not None]


async def external_ids(
    connection: Connection, resources: Resources, orders: Sequence[Webhook], rows: Sequence[asyncpg.Record]
) -> dict[UUID, str]:
    """The external ids of the records that rows with `webhook_id` and `record_id` are about."""
    kinds = {each.id: each.resource for each in orders}
    wanted: dict[Resource, list[UUID]] = {}
    for row in rows:
        if row["webhook_id"] in kinds:
            wanted.setdefault(resources[kinds[row["webhook_id"]]], []).append(row["record_id"])
    names: dict[UUID, str] = {}
    for resource, ids in wanted.items():
        found = await connection.fetch(named_sql.external_ids(resource), ids)
        names.update((row["id"], row["external_id"]) for row in found)
    return names


def _shown(row: asyncpg.Record, order: Webhook | None, names: Mapping[UUID, str]) -> dict[str, Any]:
    never = row["status"] not in _WAITING or row["status"] == "failed"
    return {
        "id": delivery_id(row["webhook_id"], row["record_id"]),
        "webhook_id": row["webhook_id"],
        "job_id": job_id(row["webhook_id"], row["record_id"]),
        "queue_name": order and f"webhook:{order.resource}:{order.name}",
        "resource": order and order.resource,
        "record_id": row["record_id"],
        "external_id": names.get(row["record_id"]),
        "status": row["status"],
        "wanted": row["wanted"],
        "acknowledged": row["acknowledged"],
        "attempts": row["attempts"],
        "ambiguous": row["ambiguous"],
        "error_class": row["error_class"],
        "skipped_why": row["skipped_why"] if row["status"] == "skipped" else None,
        "settled_at": _printed(row["settled_at"]),
        "next_attempt_at": None if never else _printed(row["due_at"]),
    }


def _attempt(row: asyncpg.Record) -> Attempt:
    body = bytes(row["response_body"] or b"")
    headers = row["response_headers"]
    return Attempt(
        request_id=row["request_id"],
        at=printed(row["at"]),
        number=row["number"],
        version=row["version"],
        again=row["again"],
        url=row["url"],
        status=row["status"],
        error_class=row["error_class"],
        detail=row["detail"],
        milliseconds=round(row["milliseconds"], 3),
        response_headers=msgspec.json.decode(headers) if headers else [],
        response_body=_read(body),
        response_truncated=row["response_truncated"],
        batch=_batch(row) if row["size"] is not None else None,
    )


def _batch(row: asyncpg.Record) -> AttemptBatch:
    return AttemptBatch(size=row["size"], bytes=row["bytes"], warnings=tuple(row["warnings"]))


def _read(body: bytes) -> Any:
    """The answer as the receiver meant it: JSON, or else text with what is no UTF-8 replaced."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "replace") or None


def _printed(when: datetime | None) -> str | None:
    return None if when is None else printed(when)
