"""What the admin routes do of one webhook and one record: tried, triggered, explained."""

from collections.abc import Iterator
from uuid import UUID

from retailos import operations
from retailos.api.admin.form import body_of, webhook_id_of
from retailos.api.admin.line import AT, like, lines
from retailos.api.call import Answer, Call, Engine, Operation
from retailos.api.envelope import encode
from retailos.api.examples import DELIVERY_ID
from retailos.api.schemas import Schema, object_schema, struct_schema
from retailos.declare.values import Uuid
from retailos.deliveries.story import Happening, Story
from retailos.errors import Problem, ValidationFailed
from retailos.operations.trials import RECORD_FIELDS, TRIAL_FIELDS, Triggered
from retailos.records import query
from retailos.sending.trial import Trial

_RECORD = UUID(DELIVERY_ID.partition("-")[2])


async def try_webhook(engine: Engine, call: Call) -> Answer:
    """POST a test: what the webhook would be sent of a record is sent to it, or only shown."""
    body = await body_of(engine, call)
    tried = await operations.try_webhook(engine.pool, engine.resources, engine.settings, webhook_id_of(call), body)
    return Answer(encode(tried))


async def trigger(engine: Engine, call: Call) -> Answer:
    """POST a trigger: one record is owed to the webhook once more, now."""
    body = await body_of(engine, call)
    triggered = await operations.trigger(engine.pool, engine.resources, webhook_id_of(call), body)
    engine.hint()
    return Answer(encode(triggered))


async def explain(engine: Engine, call: Call) -> Answer:
    """GET the story of one record on its way to the webhook."""
    given = query.parameters(call.query)
    query.refuse_unknown(given, tuple(RECORD_FIELDS))
    problems: list[Problem] = []
    if (given.get("externalId") is None) is (given.get("recordId") is None):
        problems.append(Problem("externalId", "REQUIRED", "expected externalId, or else recordId"))
    if given.get("recordId") is not None:
        Uuid().read(given["recordId"], "recordId", problems)
    if problems:
        raise ValidationFailed(problems)
    return Answer(encode(await operations.explain(engine.pool, engine.resources, webhook_id_of(call), given)))


def trial_lines() -> Iterator[Operation]:
    """The routes of one webhook and one record."""
    line, one = lines("Webhook", "Webhooks"), "/webhooks/{id}"
    said = "Send a webhook what it would be sent of a record, or only show it"
    yield line("POST", f"{one}/test", try_webhook, "WEBHOOK_TEST", said, 200, 404, body="TrialInput", result="Trial")
    said = "Tell a webhook of one record now"
    yield line(
        "POST", f"{one}/trigger", trigger, "WEBHOOK_TRIGGER", said, 200, 404, body="TriggerInput", result="Triggered"
    )
    said = "Tell what happened to a record on its way to a webhook"
    yield line(
        "GET", f"{one}/explain", explain, "WEBHOOK_EXPLAIN", said, 200, 404, result="Story", parameters=("explain",)
    )


def trial_schemas() -> dict[str, Schema]:
    """Describe what the routes of one webhook and one record take and give."""
    pairs = {"type": ["array", "null"], "items": {"type": "array", "items": {"type": "string"}}}
    example = {"examples": [{"externalId": "example-customer-id"}]}
    trial = Trial(
        record_id=_RECORD,
        method="PUT",
        url="https://erp.example.com/v1/customer/example-customer-id",
        headers=[("Content-Type", "application/json")],
        body={"customer": {"externalCustomerId": "example-customer-id"}},
        sent=True,
        status=200,
        response_headers=[("content-type", "application/json")],
        response_body={"customerId": "example-customer-id"},
        milliseconds=42.5,
    )
    happening = Happening(at=AT, text="v1: delivered", version=1, request_id=None)
    told = Story(webhook_id=1, record_id=_RECORD, status="delivered", wanted=1, acknowledged=1, happenings=(happening,))
    return {
        "TrialInput": object_schema(TRIAL_FIELDS, input=True, owner="Trial")
        | {"examples": [{"externalId": "example-customer-id", "dryRun": True}]},
        "TriggerInput": object_schema(RECORD_FIELDS, input=True, owner="Trigger") | example,
        "Trial": struct_schema(Trial, headers=pairs, responseHeaders=pairs, body={}, responseBody={}) | like(trial),
        "Triggered": struct_schema(Triggered) | like(Triggered(delivery_id=DELIVERY_ID, record_id=_RECORD, version=1)),
        "Happening": struct_schema(Happening) | like(happening),
        "Story": struct_schema(Story) | like(told),
    }
