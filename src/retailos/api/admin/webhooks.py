"""What the admin routes of webhooks do: listed, added, shown, changed and taken away."""

from collections.abc import Iterator

from retailos import operations
from retailos.api.admin.form import body_of, by, listed, made, page_of, webhook_id_of
from retailos.api.admin.line import AT, WHEN, WHEN_OR_NULL, like, lines
from retailos.api.call import Answer, Call, Engine, Operation
from retailos.api.endpoints import refuse_parameters
from retailos.api.envelope import encode
from retailos.api.examples import object_example
from retailos.api.schemas import Schema, list_schema, object_schema, struct_schema
from retailos.declare.resource import Resources
from retailos.deliveries.openings import Opening
from retailos.operations import NewSigningSecret, Removed
from retailos.operations.webhooks import BACKFILL
from retailos.webhooks.signature import ROTATION_FIELDS
from retailos.webhooks.webhook import hidden, webhook_fields

_OPENING = Opening(opened_at=AT, closed_at="2020-03-25T14:02:11.020Z", failures=103)
#: A secret that signs nothing.
_NEW_SECRET = NewSigningSecret(webhook=1, secret=f"whsec_{'A' * 43}=", public_key=None, former_until=AT)


async def list_webhooks(engine: Engine, call: Call) -> Answer:
    """GET all webhooks."""
    refuse_parameters(call)
    return listed(await operations.list_webhooks(engine.pool))


async def add_webhook(engine: Engine, call: Call) -> Answer:
    """POST a webhook."""
    body = await body_of(engine, call)
    added = await operations.add_webhook(engine.pool, engine.resources, engine.settings, body, by(call))
    return made(added, f"/webhooks/{added['id']}")


async def show_webhook(engine: Engine, call: Call) -> Answer:
    """GET one webhook."""
    refuse_parameters(call)
    return Answer(encode(await operations.show_webhook(engine.pool, webhook_id_of(call))))


async def change_webhook(engine: Engine, call: Call) -> Answer:
    """PUT a webhook: what is absent is kept."""
    webhook_id = webhook_id_of(call)
    body = await body_of(engine, call)
    changed = await operations.change_webhook(engine.pool, engine.resources, engine.settings, webhook_id, body)
    return Answer(encode(changed))


async def remove_webhook(engine: Engine, call: Call) -> Answer:
    """DELETE a webhook, and tell how many deliveries it was still owed."""
    refuse_parameters(call)
    return Answer(encode(await operations.remove_webhook(engine.pool, webhook_id_of(call))))


async def list_openings(engine: Engine, call: Call) -> Answer:
    """GET from when to when the webhook's breaker held what it was owed, newest first."""
    limit, offset = page_of(call)
    rows = await operations.list_openings(engine.pool, webhook_id_of(call), limit, offset)
    return Answer(encode({"count": None, "rows": rows}))


async def rotate_signing_secret(engine: Engine, call: Call) -> Answer:
    """POST a rotation: the webhook signs with another secret, shown this once, and with the one it has for a while."""
    webhook_id = webhook_id_of(call)
    body = await body_of(engine, call)
    return Answer(encode(await operations.rotate_signing_secret(engine.pool, engine.settings, webhook_id, body)))


def webhook_lines() -> Iterator[Operation]:
    """The routes of webhooks."""
    line, all_, one = lines("Webhook", "Webhooks"), "/webhooks", "/webhooks/{id}"
    written, changed = ({"body": each, "result": "Webhook"} for each in ("WebhookInput", "WebhookChange"))
    yield line("GET", all_, list_webhooks, "WEBHOOK_GET_ALL", "List webhooks", result="WebhookList")
    yield line("POST", all_, add_webhook, "WEBHOOK_CREATE", "Add a webhook", 201, 409, **written)
    yield line("GET", one, show_webhook, "WEBHOOK_GET_ONE", "Get a webhook", 200, 404, result="Webhook")
    yield line("PUT", one, change_webhook, "WEBHOOK_UPDATE", "Change a webhook", 200, 404, 409, 422, **changed)
    yield line(
        "POST",
        f"{one}/signing-secrets",
        rotate_signing_secret,
        "WEBHOOK_ROTATE_SECRET",
        "Rotate a webhook's signing secret",
        200,
        404,
        409,
        body="SigningSecretInput",
        result="NewSigningSecret",
    )
    opening = lines("Breaker opening", "Breaker openings")
    yield opening(
        "GET",
        f"{one}/openings",
        list_openings,
        "WEBHOOK_OPENING_GET_ALL",
        "List when a webhook's deliveries were held",
        200,
        404,
        result="OpeningList",
        parameters=("page",),
    )
    yield line("DELETE", one, remove_webhook, "WEBHOOK_DELETE", "Delete a webhook", 200, 404, result="WebhookRemoved")


def webhook_schemas(resources: Resources) -> dict[str, Schema]:
    """Describe what the routes of webhooks take and give."""
    webhook, accepted = _webhook(resources), object_schema(webhook_fields(resources), input=True, owner="Webhook")
    added = object_schema({**webhook_fields(resources), "backfill": BACKFILL}, input=True, owner="Webhook")
    opening = struct_schema(Opening, openedAt=WHEN, closedAt=WHEN_OR_NULL) | like(_OPENING)
    return {
        "Webhook": webhook,
        "WebhookInput": added,
        "WebhookChange": {key: value for key, value in accepted.items() if key != "required"},
        "WebhookList": list_schema("Webhook", webhook),
        "SigningSecretInput": object_schema(ROTATION_FIELDS, input=True, owner="SigningSecret")
        | {"examples": [{"graceSeconds": 86_400, "scheme": "v1a"}]},
        "NewSigningSecret": struct_schema(NewSigningSecret, formerUntil=WHEN_OR_NULL) | like(_NEW_SECRET),
        "Opening": opening,
        "OpeningList": list_schema("Opening", opening),
        "WebhookRemoved": struct_schema(Removed) | like(Removed(id=1, owed=0)),
    }


def _webhook(resources: Resources) -> Schema:
    fields = webhook_fields(resources)
    example = object_example(fields, input=False)
    schema = object_schema(fields, input=False, owner="Webhook")
    return schema | {"examples": [example | hidden(example)]}
