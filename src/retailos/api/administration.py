"""What the administration takes and gives, as it is documented: schemas by the names that its operations use."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from retailos.api.examples import DELIVERY_ID, object_example
from retailos.api.schemas import Schema, list_schema, object_schema, struct_schema
from retailos.declare.field import Field
from retailos.declare.resource import Resources
from retailos.declare.values import Boolean, Number
from retailos.keys import DEFAULT_SCOPES, ListedKey, NewKey
from retailos.keys.key import ROTATION_FIELDS, key_fields
from retailos.keys.text import Parts, written
from retailos.operations import Removed, Requeued
from retailos.webhooks.deliveries import STATUSES, Attempt, Delivery, DeliveryWithAttempts
from retailos.webhooks.exchange import ErrorClass
from retailos.webhooks.hidden import HIDDEN
from retailos.webhooks.webhook import webhook_fields

_AT = "2020-03-25T13:41:30.709Z"
_WHEN = MappingProxyType({"type": "string", "format": "date-time"})
_WHEN_OR_NULL = MappingProxyType({"type": ["string", "null"], "format": "date-time"})
_ERROR_CLASS = MappingProxyType({"type": ["string", "null"], "examples": [each.value for each in ErrorClass]})
_OF_DELIVERIES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "status": {"type": "string", "examples": list(STATUSES)},
        "wanted": {"type": "integer", "description": "The version of the record that is owed."},
        "acknowledged": {"type": "integer", "description": "The newest version answered with a 2xx; 0: none."},
        "ambiguous": {"type": "boolean", "description": "Whether an attempt ended unknown and may still arrive."},
        "errorClass": _ERROR_CLASS,
        "settledAt": _WHEN_OR_NULL,
        "nextAttemptAt": _WHEN_OR_NULL,
    }
)
_OF_KEYS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "networks": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The networks that it may be used from, as CIDRs; none: from anywhere.",
        },
        "createdAt": _WHEN,
        "expiresAt": _WHEN_OR_NULL,
        "revokedAt": _WHEN_OR_NULL,
        "rotatingUntil": {**_WHEN_OR_NULL, "description": "Until when its former secret opens too."},
        "lastUsedAt": {**_WHEN_OR_NULL, "description": "When it was used last, to a minute or two."},
    }
)
#: Keys that open nothing, and whose check digits are right.
_KEY = written(Parts("dev", "4fK2mQ8sZ1", "0" * 32))
_KEY_INPUT = MappingProxyType({"name": "erp", "scopes": list(DEFAULT_SCOPES), "networks": ["10.20.0.0/16"]})
_REQUEUE = MappingProxyType(
    {
        "webhook": Field(name="webhook", kind=Number(1, 2**31 - 1), required=True),
        "dryRun": Field(name="dryRun", kind=Boolean(), default=False),
    }
)


def admin_schemas(resources: Resources) -> dict[str, Schema]:
    """Describe every object of the administration."""
    webhook, delivery = _webhook(resources), struct_schema(Delivery, **_OF_DELIVERIES) | _like(_delivery())
    accepted = object_schema(webhook_fields(resources), input=True, owner="Webhook")
    history = DeliveryWithAttempts(**msgspec.structs.asdict(_delivery()), attempt_history=(_attempt(),))
    key = struct_schema(ListedKey, **_OF_KEYS) | _like(_key())
    new = object_schema(key_fields(resources), input=True, owner="Key") | {"examples": [dict(_KEY_INPUT)]}
    new_key = NewKey(**msgspec.structs.asdict(_key()), key=_KEY)
    return {
        "Key": key,
        "KeyInput": new,
        "KeyChange": {name: value for name, value in new.items() if name != "required"},
        "KeyList": list_schema("Key", key),
        "NewKey": struct_schema(NewKey, **_OF_KEYS) | _like(new_key),
        "RotationInput": object_schema(ROTATION_FIELDS, input=True, owner="Rotation"),
        "Webhook": webhook,
        "WebhookInput": accepted,
        "WebhookChange": {key: value for key, value in accepted.items() if key != "required"},
        "WebhookList": list_schema("Webhook", webhook),
        "WebhookRemoved": struct_schema(Removed) | _like(Removed(id=1, owed=0)),
        "Delivery": delivery,
        "DeliveryList": list_schema("Delivery", delivery),
        "DeliveryWithAttempts": struct_schema(DeliveryWithAttempts, **_OF_DELIVERIES) | _like(history),
        "Attempt": struct_schema(Attempt, at=_WHEN, errorClass=_ERROR_CLASS) | _like(_attempt()),
        "RequeueInput": object_schema(_REQUEUE, input=True, owner="Requeue"),
        "Requeued": struct_schema(Requeued) | _like(Requeued(webhook=1, count=3, dry_run=False)),
    }


def _key() -> ListedKey:
    return ListedKey(
        id="4fK2mQ8sZ1",
        name="erp",
        scopes=list(DEFAULT_SCOPES),
        networks=["10.20.0.0/16"],
        created_at=_AT,
        expires_at=None,
        revoked_at=None,
        rotating_until=None,
        last_used_at=None,
    )


def _webhook(resources: Resources) -> Schema:
    fields = webhook_fields(resources)
    example = object_example(fields, input=False)
    schema = object_schema(fields, input=False, owner="Webhook")
    return schema | {"examples": [example | {"headers": dict.fromkeys(example["headers"], HIDDEN)}]}


def _delivery() -> Delivery:
    webhook_id, _, record_id = DELIVERY_ID.partition("-")
    return Delivery(
        id=DELIVERY_ID,
        webhook_id=int(webhook_id),
        queue_name="webhook:customer:erp-customers",
        resource="customer",
        record_id=UUID(record_id),
        external_id="example-customer-id",
        status="delivered",
        wanted=1,
        acknowledged=1,
        attempts=1,
        ambiguous=False,
        error_class=None,
        settled_at=_AT,
        next_attempt_at=None,
    )


def _attempt() -> Attempt:
    return Attempt(
        request_id=UUID("a1dba900-4d6f-4cd5-aea9-db8a3e07d3f5"),
        at=_AT,
        number=1,
        version=1,
        url="https://erp.example.com/v1/customer/example-customer-id",
        status=200,
        error_class=None,
        detail=None,
        milliseconds=42.5,
        response_headers=[["content-type", "application/json"]],
        response_body={"customerId": "example-customer-id"},
        response_truncated=False,
    )


def _like(example: msgspec.Struct) -> dict[str, Any]:
    return {"examples": [msgspec.to_builtins(example)]}
