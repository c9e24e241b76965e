"""What the admin routes do that switch a webhook: paused and resumed, disabled and enabled."""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from retailos import operations
from retailos.api.admin.form import by, webhook_id_of
from retailos.api.admin.line import like, lines
from retailos.api.call import Answer, Call, Engine, Operation
from retailos.api.endpoints import refuse_parameters
from retailos.api.envelope import encode
from retailos.api.schemas import Schema, struct_schema
from retailos.operations import Switched

Switch = Callable[[Engine, Call], Awaitable[Switched]]


async def switch(work: Switch, engine: Engine, call: Call) -> Answer:
    """POST what a webhook is to do; workers go by it within a second."""
    refuse_parameters(call)
    switched = await work(engine, call)
    engine.hint()
    return Answer(encode(switched))


async def pause(engine: Engine, call: Call) -> Switched:
    """Send nothing for now."""
    return await operations.pause_webhook(engine.pool, webhook_id_of(call))


async def resume(engine: Engine, call: Call) -> Switched:
    """Send again."""
    return await operations.resume_webhook(engine.pool, webhook_id_of(call))


async def disable(engine: Engine, call: Call) -> Switched:
    """Send nothing, and owe nothing of what changes."""
    return await operations.disable_webhook(engine.pool, webhook_id_of(call))


async def enable(engine: Engine, call: Call) -> Switched:
    """Send and owe again, and catch up."""
    return await operations.enable_webhook(engine.pool, engine.resources, webhook_id_of(call), by(call))


def switch_lines() -> Iterator[Operation]:
    """The routes that switch a webhook."""
    line = lines("Webhook", "Webhooks")
    for word, work, said, statuses in (
        ("pause", pause, "Pause a webhook", (200, 404)),
        ("resume", resume, "Resume a webhook", (200, 400, 404)),
        ("disable", disable, "Disable a webhook", (200, 404)),
        ("enable", enable, "Enable a webhook, and have it catch up", (200, 404)),
    ):
        action = f"WEBHOOK_{word.upper()}"
        path = f"/webhooks/{{id}}/{word}"
        yield line("POST", path, partial(switch, work), action, said, *statuses, result="WebhookSwitched")


def switch_schemas() -> dict[str, Schema]:
    """Describe what the routes that switch a webhook give."""
    switched = struct_schema(
        Switched,
        disabled={"type": "boolean", "description": "Whether nothing is owed to it of what changes."},
        owed={"type": "integer", "description": "How many deliveries it is owed now."},
    )
    return {"WebhookSwitched": switched | like(Switched(id=1, active=False, disabled=False, owed=3))}
