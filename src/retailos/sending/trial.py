"""A trial: the request that a webhook would be sent of a record, shown, and sent if that is wanted; nothing is kept."""

from typing import Any
from uuid import UUID, uuid4

import msgspec

from retailos.database.pool import Connection
from retailos.declare.resource import Resources
from retailos.deliveries import register
from retailos.deliveries.claim import Claim
from retailos.deliveries.outcome import error_class_of
from retailos.errors import Problem, ValidationFailed
from retailos.exchanges.addresses import Policy
from retailos.exchanges.exchange import Reply, Request
from retailos.sending.reading import Reading
from retailos.sending.request import CannotBeAddressed, Item, Told, build_request
from retailos.sending.sender import sender
from retailos.sending.sift import needless
from retailos.webhooks.webhook import Webhook


class Trial(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A request, its secrets hidden, and what came of it; null where it was not sent."""

    record_id: UUID
    method: str
    url: str
    headers: list[tuple[str, str]]
    body: Any
    sent: bool
    status: int | None = None
    response_headers: list[tuple[str, str]] | None = None
    response_body: Any = None
    error_class: str | None = None
    detail: str | None = None
    milliseconds: float | None = None


async def read(connection: Connection, resources: Resources, webhook: Webhook, record_id: UUID) -> Told:
    """Read a record as the webhook is told of it."""
    reading = Reading.of(resources, webhook)
    [row] = await connection.fetch(reading.statement, *reading.arguments([_claim(record_id)]))
    return Told(**row)


async def told_once_more(
    connection: Connection, resources: Resources, webhook: Webhook, record_id: UUID, path: str
) -> Told:
    """Read a record that is to be sent once more; ValidationFailed, about what stands at `path`, where it would not."""
    record = await read(connection, resources, webhook, record_id)
    if needless(await register.known(connection, webhook.id, record_id), record):
        message = "expected a record that the webhook is told of: its `where` does not name this one, nothing is sent"
        raise ValidationFailed([Problem(path, "NOT_TOLD", message)])
    return record


def request_of(resources: Resources, webhook: Webhook, record: Told) -> Request:
    """Make the request; ValidationFailed where the record has no value for the webhook's URL."""
    try:
        request_id, request = build_request(resources[webhook.resource], webhook, (Item(_claim(record.id), record),))
    except CannotBeAddressed as error:
        raise ValidationFailed(
            [Problem("/externalId", "CANNOT_BE_ADDRESSED", f"expected another record: {error}")]
        ) from None
    # A receiver that remembers messages must not take the delivery itself, when it comes, for this one.
    return msgspec.structs.replace(request, message_id=str(request_id)) if request.message_id else request


async def send(policy: Policy, opened: Webhook, request: Request) -> Reply:
    """Send it as the webhook would, over connections of its own; Locked where a secret can't be opened."""
    sending = sender(opened, policy)
    try:
        return await sending.send(request)
    finally:
        sending.close()


def shown(record: Told, request: Request, reply: Reply | None) -> Trial:
    """Show a request, and the answer to it if it was sent."""
    trial = Trial(
        record_id=record.id,
        method=request.method,
        url=request.url,
        headers=list(request.headers),
        body=_read(request.body),
        sent=reply is not None,
    )
    if reply is None:
        return trial
    return msgspec.structs.replace(
        trial,
        status=reply.status,
        response_headers=list(reply.headers),
        response_body=_read(reply.body),
        error_class=error_class_of(reply),
        detail=reply.detail or None,
        milliseconds=round(reply.milliseconds, 3),
    )


def _claim(record_id: UUID) -> Claim:
    # Behind every change, so that what is read is the record as it is, also where every change is sent.
    return Claim(record_id, uuid4(), 1, 0, passed=2**31 - 1)


def _read(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "replace") or None
