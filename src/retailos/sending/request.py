"""The request that tells a receiver of a record: its URL, its headers and its body, made of values alone."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec

from retailos.declare.resource import Resource
from retailos.deliveries.claim import Claim
from retailos.deliveries.name import delivery_id
from retailos.exchanges.exchange import ANSWER_BYTES_KEPT, Request
from retailos.records.identity import new_id
from retailos.webhooks.agreement import Agreement
from retailos.webhooks.webhook import Webhook

_decode = msgspec.json.Decoder().decode


class CannotBeAddressed(Exception):
    """The record has no value for a field in the webhook's URL, or one that is no segment of a URL."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A record as it is told: read after its delivery was claimed."""

    id: UUID
    external_id: str
    version: int
    #: What the last write did to it: create, update, undelete, delete …
    operation: str
    #: The object as JSON text, as the webhook's shape has it: entire, its projections included, unless it says less.
    json: str
    #: Another object, of the fields that stand in the URL.
    address: str = "{}"
    deleted: bool = False
    #: It is one of those that the webhook is told of.
    matches: bool = True
    #: What the webhook watches of it, in sixteen bytes; None: it watches nothing in particular.
    digest: UUID | None = None
    #: All that changed since what is acknowledged came with the receiver's own API key.
    echoed: bool = False


class Item(msgspec.Struct, frozen=True):
    """A delivery on its way: the claim that it is sent under, and the record as it was read after it."""

    claim: Claim
    record: Told


#: Deliveries that go out as one request; a single delivery is a batch of one.
Batch = Sequence[Item]


def build_request(resource: Resource, webhook: Webhook, batch: Batch) -> tuple[UUID, Request]:
    """Make the request of a batch's attempt, with an id of its own; CannotBeAddressed where the URL lacks a value."""
    request_id = new_id()
    if webhook.batching.size > 1:
        method, url, about = webhook.method, webhook.url, [("X-Ra-Batch-Size", str(len(batch)))]
        body = f'{{"{resource.plural}":[{",".join([each.record.json for each in batch])}]}}'
    else:
        [single] = batch
        gone = single.record.deleted and webhook.shape.on_delete == "delete"
        method, url = "DELETE" if gone else webhook.method, render_url(resource, webhook, single.record)
        about = _about(webhook, single)
        # To a body of a DELETE, HTTP gives no meaning (RFC 9110, 9.3.5), and some servers refuse one.
        body = "" if gone else f'{{"{resource.name}":{single.record.json}}}'
    own = (
        *((("Content-Type", "application/json"),) if body else ()),
        ("Accept", "application/json"),
        ("X-Ra-Request-Id", str(request_id)),
        *about,
        ("X-Ra-Resource", resource.name),
        ("traceparent", f"00-{request_id.hex}-{request_id.hex[16:]}-01"),
    )
    return request_id, Request(
        method=method,
        url=url,
        headers=(*own, *webhook.headers.items()),
        body=body.encode(),
        timeout_seconds=webhook.timeout,
        answer_bytes_most=answer_bytes_most(len(batch), webhook.agreement),
        message_id=message_id(webhook.id, batch, request_id) if webhook.signs else "",
    )


def _about(webhook: Webhook, single: Item) -> list[tuple[str, str]]:
    """What a receiver is told of a single record beside it; in a batch each record says its version itself."""
    claim, record = single.claim, single.record
    return [
        ("X-Ra-Delivery-Id", delivery_id(webhook.id, record.id)),
        ("X-Ra-Attempt", str(claim.attempt)),
        ("X-Ra-Record-Version", str(record.version)),
        ("X-Ra-Change", change_of(record, claim)),
    ]


def frame_bytes(resource: Resource) -> int:
    """How many bytes the body of a batch has around its records."""
    return len(resource.plural) + len('{"":[]}')


def answer_bytes_most(records: int, agreement: Agreement) -> int:
    """How many bytes are read of an answer: more than is kept, where it tells of many records."""
    return ANSWER_BYTES_KEPT if records == 1 else ANSWER_BYTES_KEPT + records * agreement.bytes_per_record


def message_id(webhook_id: int, batch: Batch, request_id: UUID) -> str:
    """What a signature calls what is sent: the same for each attempt, so that a receiver can tell what it has had.

    What the receiver has acknowledged and is to have again goes under an id that it does not know.
    """
    if any(each.claim.acknowledged >= each.record.version for each in batch):
        return str(request_id)
    if len(batch) == 1:
        return f"{delivery_id(webhook_id, batch[0].record.id)}-{batch[0].record.version}"
    told = b"".join(each.record.id.bytes + each.record.version.to_bytes(4, "big") for each in batch)
    return f"{webhook_id}-{hashlib.blake2b(told, digest_size=16).hexdigest()}"


def change_of(record: Told, claim: Claim) -> str:
    """What happened, as this receiver sees it: a record that it never acknowledged, or that left, is new to it."""
    ended = {"delete": "deleted", "anonymise": "anonymised", "merge": "merged"}.get(record.operation)
    if ended or not record.matches:
        return ended or "left"
    return "created" if claim.acknowledged == 0 or claim.left else "updated"


def render_url(resource: Resource, webhook: Webhook, record: Told) -> str:
    """Fill the template, each value percent-encoded as one segment."""
    url = webhook.url
    values: Mapping[str, Any] | None = None
    for name in webhook.variables:
        if name == resource.external_id.name:
            value: Any = record.external_id
        elif name == "id":
            value = record.id
        else:
            values = values or _decode(record.address)
            value = values[name]
        url = url.replace(f"{{{name}}}", _segment(name, value))
    return url


def _segment(name: str, value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
    if text in ("", ".", ".."):
        raise CannotBeAddressed(f"the URL needs {name}, and the record has none that can stand in a URL")
    return quote(text, safe="")
