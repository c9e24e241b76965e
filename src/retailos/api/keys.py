"""What the admin routes of API keys do: made, listed, changed, rotated and revoked; a key's text is shown once."""

from retailos import operations
from retailos.api.body import json_body
from retailos.api.call import Answer, Call, Engine
from retailos.api.endpoints import refuse_parameters
from retailos.api.envelope import encode
from retailos.records.body import decode


async def list_keys(engine: Engine, call: Call) -> Answer:
    """GET all keys, the newest first; a key itself can't be shown again."""
    refuse_parameters(call)
    rows = await operations.list_keys(engine.pool)
    return Answer(encode({"count": len(rows), "rows": rows}))


async def add_key(engine: Engine, call: Call) -> Answer:
    """POST a key; the answer shows its text in `key`, this once."""
    refuse_parameters(call)
    body = decode(await json_body(call, engine.settings.body_limit_bytes))
    made = await operations.add_key(engine.pool, engine.resources, engine.settings, body)
    return Answer(encode(made), status=201, headers={"Location": f"{call.scope['path']}/{made.id}"})


async def show_key(engine: Engine, call: Call) -> Answer:
    """GET one key: what it may do, and when it was used last."""
    refuse_parameters(call)
    return Answer(encode(await operations.show_key(engine.pool, call.path["id"])))


async def change_key(engine: Engine, call: Call) -> Answer:
    """PUT a key: what is absent is kept. Every process goes by it within 5 s."""
    refuse_parameters(call)
    body = decode(await json_body(call, engine.settings.body_limit_bytes))
    return Answer(encode(await operations.change_key(engine.pool, engine.resources, call.path["id"], body)))


async def revoke_key(engine: Engine, call: Call) -> Answer:
    """DELETE a key, for good: every process refuses it within 5 s. It is listed still."""
    refuse_parameters(call)
    return Answer(encode(await operations.revoke_key(engine.pool, call.path["id"])))


async def rotate_key(engine: Engine, call: Call) -> Answer:
    """POST a rotation: the key gets another secret, shown this once, and the one that it has opens on for a while."""
    refuse_parameters(call)
    body = decode(await json_body(call, engine.settings.body_limit_bytes))
    return Answer(encode(await operations.rotate_key(engine.pool, engine.settings, call.path["id"], body)))
