"""What the admin routes do: read a request, call the operation, show what came."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from retailos import operations
from retailos.api import keys
from retailos.api.body import json_body
from retailos.api.call import Answer, Call, Endpoint, Engine, Operation
from retailos.api.endpoints import refuse_parameters
from retailos.api.envelope import encode
from retailos.declare.field import Field, flag
from retailos.declare.kind import expected
from retailos.declare.object import read_object
from retailos.declare.resource import Resources
from retailos.declare.values import Number
from retailos.errors import Problem, ResourceNotFound, ValidationFailed
from retailos.keys import ADMIN
from retailos.records import query
from retailos.records.body import decode
from retailos.webhooks.addresses import Policy
from retailos.webhooks.deliveries import STATUSES, Asked

ROOT = "/v2/admin"

REQUEUE_FIELDS = MappingProxyType(
    {
        "webhook": Field(name="webhook", kind=Number(1, 2**31 - 1), required=True, nullable=False),
        "dryRun": flag("dryRun"),
    }
)


async def list_webhooks(engine: Engine, call: Call) -> Answer:
    """GET all webhooks."""
    refuse_parameters(call)
    rows = await operations.list_webhooks(engine.pool)
    return Answer(encode({"count": len(rows), "rows": rows}))


async def add_webhook(engine: Engine, call: Call) -> Answer:
    """POST a webhook."""
    refuse_parameters(call)
    body = decode(await json_body(call, engine.settings.body_limit_bytes))
    added = await operations.add_webhook(engine.pool, engine.resources, _policy(engine), body)
    return Answer(encode(added), status=201, headers={"Location": f"{ROOT}/webhooks/{added['id']}"})


async def show_webhook(engine: Engine, call: Call) -> Answer:
    """GET one webhook."""
    refuse_parameters(call)
    return Answer(encode(await operations.show_webhook(engine.pool, _webhook_id(call))))


async def change_webhook(engine: Engine, call: Call) -> Answer:
    """PUT a webhook: what is absent is kept."""
    refuse_parameters(call)
    webhook_id = _webhook_id(call)
    body = decode(await json_body(call, engine.settings.body_limit_bytes))
    changed = await operations.change_webhook(engine.pool, engine.resources, _policy(engine), webhook_id, body)
    return Answer(encode(changed))


async def remove_webhook(engine: Engine, call: Call) -> Answer:
    """DELETE a webhook, and tell how many deliveries it was still owed."""
    refuse_parameters(call)
    return Answer(encode(await operations.remove_webhook(engine.pool, _webhook_id(call))))


async def find_deliveries(engine: Engine, call: Call) -> Answer:
    """GET deliveries by webhook, status and external id."""
    found = await operations.find_deliveries(engine.pool, engine.resources, _asked(call))
    return Answer(encode({"count": found.count, "rows": found.rows}))


async def show_delivery(engine: Engine, call: Call) -> Answer:
    """GET one delivery with its attempts."""
    refuse_parameters(call)
    return Answer(encode(await operations.show_delivery(engine.pool, engine.resources, call.path["id"])))


async def requeue(engine: Engine, call: Call) -> Answer:
    """POST a requeue: the failed deliveries of a webhook are owed again."""
    refuse_parameters(call)
    body = decode(await json_body(call, engine.settings.body_limit_bytes))
    webhook_id, dry_run = _requeue_of(body)
    return Answer(encode(await operations.requeue(engine.pool, webhook_id, dry_run=dry_run)))


def admin_operations(resources: Resources) -> tuple[Operation, ...]:
    """The route table of the administration."""
    webhooks, webhook = "/webhooks", "/webhooks/{id}"
    written, changed = ({"body": each, "result": "Webhook"} for each in ("WebhookInput", "WebhookChange"))
    return (
        *_of_keys(),
        _line("GET", webhooks, list_webhooks, "WEBHOOK_GET_ALL", "List webhooks", result="WebhookList"),
        _line("POST", webhooks, add_webhook, "WEBHOOK_CREATE", "Add a webhook", 201, 409, **written),
        _line("GET", webhook, show_webhook, "WEBHOOK_GET_ONE", "Get a webhook", 200, 404, result="Webhook"),
        _line("PUT", webhook, change_webhook, "WEBHOOK_UPDATE", "Change a webhook", 200, 404, 409, **changed),
        _line(
            "DELETE", webhook, remove_webhook, "WEBHOOK_DELETE", "Delete a webhook", 200, 404, result="WebhookRemoved"
        ),
        _line("GET", "/deliveries", find_deliveries, "DELIVERY_GET_ALL", "Find deliveries", result="DeliveryList"),
        _line(
            "GET",
            "/deliveries/{id}",
            show_delivery,
            "DELIVERY_GET_ONE",
            "Get a delivery with its attempts",
            200,
            404,
            result="DeliveryWithAttempts",
        ),
        _line(
            "POST",
            "/requeues",
            requeue,
            "REQUEUE_CREATE",
            "Requeue the failed deliveries of a webhook",
            200,
            404,
            body="RequeueInput",
            result="Requeued",
        ),
    )


def _of_keys() -> Iterator[Operation]:
    one, rotations = "/keys/{id}", "/keys/{id}/rotations"
    yield _line("GET", "/keys", keys.list_keys, "KEY_GET_ALL", "List keys", result="KeyList")
    yield _line("POST", "/keys", keys.add_key, "KEY_CREATE", "Make a key", 201, body="KeyInput", result="NewKey")
    yield _line("GET", one, keys.show_key, "KEY_GET_ONE", "Get a key", 200, 404, result="Key")
    yield _line(
        "PUT", one, keys.change_key, "KEY_UPDATE", "Change a key", 200, 404, 409, body="KeyChange", result="Key"
    )
    yield _line(
        "POST",
        rotations,
        keys.rotate_key,
        "KEY_ROTATE",
        "Rotate a key",
        200,
        404,
        409,
        body="RotationInput",
        result="NewKey",
    )
    yield _line("DELETE", one, keys.revoke_key, "KEY_REVOKE", "Revoke a key", 200, 404, result="Key")


_MESSAGES = MappingProxyType(
    {
        "KEY_GET_ALL": "Keys",
        "KEY": "Key",
        "WEBHOOK_GET_ALL": "Webhooks",
        "WEBHOOK": "Webhook",
        "DELIVERY_GET_ALL": "Deliveries",
        "DELIVERY": "Delivery",
        "REQUEUE": "Requeue",
    }
)


def _line(
    method: str,
    path: str,
    endpoint: Endpoint,
    action: str,
    summary: str,
    *statuses: int,
    result: str,
    body: str | None = None,
) -> Operation:
    return Operation(
        method=method,
        path=ROOT + path,
        endpoint=endpoint,
        action=action,
        user_message=_MESSAGES.get(action) or _MESSAGES[action.split("_")[0]],
        scope=ADMIN,
        summary=summary,
        body=body,
        result=result,
        statuses=(*(statuses or (200,)), *((413, 415) if body else ())),
        parameters=("deliveries",) if endpoint is find_deliveries else (),
    )


def _policy(engine: Engine) -> Policy:
    return Policy(allow=engine.settings.allow_addresses)


def _webhook_id(call: Call) -> int:
    text = call.path["id"]
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    raise ResourceNotFound("There is no such webhook; GET /v2/admin/webhooks lists them.")


def _asked(call: Call) -> Asked:
    given = query.parameters(call.query)
    query.refuse_unknown(given, ("webhook", "status", "externalId", "limit", "offset", "withCount"))
    problems: list[Problem] = []
    webhook_id = query.whole(given, "webhook", None, 2**31 - 1, problems)
    status = given.get("status")
    if status is not None and status not in STATUSES:
        problems.append(Problem("status", "UNKNOWN_CHOICE", f"expected one of {', '.join(STATUSES)}"))
    asked = Asked(
        webhook_id=webhook_id,
        status=status,
        external_id=given.get("externalId"),
        limit=query.whole(given, "limit", query.LIMIT_DEFAULT, query.LIMIT_MOST, problems),
        offset=query.whole(given, "offset", 0, query.OFFSET_MOST, problems),
        with_count=query.flag(given, "withCount", False, problems),
    )
    if problems:
        raise ValidationFailed(problems)
    return asked


def _requeue_of(body: Any) -> tuple[int, bool]:
    if type(body) is not dict:
        raise ValidationFailed([expected("an object with a webhook's id", body, "")])
    values, problems = read_object(REQUEUE_FIELDS, "requeue", body)
    if problems:
        raise ValidationFailed(problems)
    return values["webhook"], values["dryRun"]
