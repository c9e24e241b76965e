"""What the admin routes do that hold a webhook against what there is: backfill, resync, drift."""

from collections.abc import Iterator

from retailos import operations
from retailos.api.admin.form import body_of, by, made, webhook_id_of
from retailos.api.admin.line import like, lines
from retailos.api.call import Answer, Call, Engine, Operation
from retailos.api.endpoints import refuse_parameters
from retailos.api.envelope import encode
from retailos.api.schemas import Schema, object_schema, struct_schema
from retailos.deliveries.drift import Drift
from retailos.operations.filling import BACKFILL_FIELDS, RESYNC_FIELDS


async def backfill(engine: Engine, call: Call) -> Answer:
    """POST a backfill: every record that exists is owed to the webhook, unless it knows it."""
    body = await body_of(engine, call)
    begun = await operations.backfill(engine.pool, engine.resources, webhook_id_of(call), body, by(call))
    return _begun(begun)


async def resync(engine: Engine, call: Call) -> Answer:
    """POST a resync: every record is owed to the webhook once more."""
    body = await body_of(engine, call)
    begun = await operations.resync_webhook(engine.pool, engine.resources, webhook_id_of(call), body, by(call))
    return _begun(begun)


def _begun(begun: operations.Operation) -> Answer:
    return made(begun, f"/operations/{begun.id}")


async def show_drift(engine: Engine, call: Call) -> Answer:
    """GET how far a webhook is behind what there is."""
    refuse_parameters(call)
    return Answer(encode(await operations.show_drift(engine.pool, engine.resources, webhook_id_of(call))))


def filling_lines() -> Iterator[Operation]:
    """The routes of backfills, resyncs and drift."""
    line, one = lines("Operation", "Operations"), "/webhooks/{id}"
    for word, endpoint, said in (
        ("backfill", backfill, "Tell a webhook of what exists"),
        ("resync", resync, "Tell a webhook of everything once more"),
    ):
        action, body = f"WEBHOOK_{word.upper()}", f"{word.title()}Input"
        yield line("POST", f"{one}/{word}", endpoint, action, said, 201, 404, body=body, result="Operation")
    line = lines("Drift", "Drift")
    yield line(
        "GET", f"{one}/drift", show_drift, "WEBHOOK_DRIFT", "Tell how far a webhook is behind", 200, 404, result="Drift"
    )


def filling_schemas() -> dict[str, Schema]:
    """Describe what the routes of backfills, resyncs and drift take and give."""
    drift = struct_schema(
        Drift,
        records={"type": "integer", "description": "Records that live."},
        inSync={"type": "integer", "description": "Deliveries whose newest version is acknowledged."},
        behind={"type": "integer", "description": "Owed, under way, to be retried, or to be confirmed."},
        held={
            "type": "integer",
            "description": "Of those behind, what would go out now, if the breaker did not hold it.",
        },
        failed={"type": "integer", "description": "Failed; a requeue owes them again."},
        dismissed={"type": "integer", "description": "Failed, and set aside by a person."},
        neverTold={"type": "integer", "description": "Records that were never owed; a backfill owes them."},
    )
    example = Drift(webhook_id=1, records=3, matched=2, behind=0, held=0, failed=1, dismissed=0, never_told=0)
    return {
        "BackfillInput": object_schema(BACKFILL_FIELDS, input=True, owner="Backfill") | {"examples": [{"rate": 500}]},
        "ResyncInput": object_schema(RESYNC_FIELDS, input=True, owner="Resync") | {"examples": [{"rate": 500}]},
        "Drift": drift | like(example),
    }
