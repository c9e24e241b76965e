"""What the admin routes of API keys do: made, listed, changed, rotated and revoked; a key's text is shown once."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from retailos import operations
from retailos.api.admin.form import body_of, listed
from retailos.api.admin.line import AT, WHEN, WHEN_OR_NULL, like, lines
from retailos.api.call import Answer, Call, Engine, Operation
from retailos.api.endpoints import refuse_parameters
from retailos.api.envelope import encode
from retailos.api.schemas import Schema, list_schema, object_schema, struct_schema
from retailos.declare.resource import Resources
from retailos.keys import DEFAULT_SCOPES, ListedKey, NewKey
from retailos.keys.key import ROTATION_FIELDS, key_fields
from retailos.keys.text import Parts, written

_OF_KEYS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "networks": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The networks that it may be used from, as CIDRs; none: from anywhere.",
        },
        "createdAt": WHEN,
        "expiresAt": WHEN_OR_NULL,
        "revokedAt": WHEN_OR_NULL,
        "rotatingUntil": {**WHEN_OR_NULL, "description": "Until when its former secret opens too."},
        "lastUsedAt": {**WHEN_OR_NULL, "description": "When it was used last, to a minute or two."},
    }
)
#: Keys that open nothing, and whose check digits are right.
_KEY = written(Parts("dev", "4fK2mQ8sZ1", "0" * 32))
_KEY_INPUT = MappingProxyType({"name": "erp", "scopes": list(DEFAULT_SCOPES), "networks": ["10.20.0.0/16"]})


async def list_keys(engine: Engine, call: Call) -> Answer:
    """GET all keys, the newest first; a key itself can't be shown again."""
    refuse_parameters(call)
    return listed(await operations.list_keys(engine.pool))


async def add_key(engine: Engine, call: Call) -> Answer:
    """POST a key; the answer shows its text in `key`, this once."""
    body = await body_of(engine, call)
    made = await operations.add_key(engine.pool, engine.resources, engine.settings, body)
    return Answer(encode(made), status=201, headers={"Location": f"{call.scope['path']}/{made.id}"})


async def show_key(engine: Engine, call: Call) -> Answer:
    """GET one key: what it may do, and when it was used last."""
    refuse_parameters(call)
    return Answer(encode(await operations.show_key(engine.pool, call.path["id"])))


async def change_key(engine: Engine, call: Call) -> Answer:
    """PUT a key: what is absent is kept. Every process goes by it within 5 s."""
    body = await body_of(engine, call)
    return Answer(encode(await operations.change_key(engine.pool, engine.resources, call.path["id"], body)))


async def revoke_key(engine: Engine, call: Call) -> Answer:
    """DELETE a key, for good: every process refuses it within 5 s. It is listed still."""
    refuse_parameters(call)
    return Answer(encode(await operations.revoke_key(engine.pool, call.path["id"])))


async def rotate_key(engine: Engine, call: Call) -> Answer:
    """POST a rotation: the key gets another secret, shown this once, and the one that it has opens on for a while."""
    body = await body_of(engine, call)
    return Answer(encode(await operations.rotate_key(engine.pool, engine.settings, call.path["id"], body)))


def key_lines() -> Iterator[Operation]:
    """The routes of API"""
    line = lines("Key", "Keys")
    one, rotations = "/keys/{id}", "/keys/{id}/rotations"
    yield line("GET", "/keys", list_keys, "KEY_GET_ALL", "List keys", result="KeyList")
    yield line("POST", "/keys", add_key, "KEY_CREATE", "Make a key", 201, body="KeyInput", result="NewKey")
    yield line("GET", one, show_key, "KEY_GET_ONE", "Get a key", 200, 404, result="Key")
    yield line("PUT", one, change_key, "KEY_UPDATE", "Change a key", 200, 404, 409, body="KeyChange", result="Key")
    yield line(
        "POST",
        rotations,
        rotate_key,
        "KEY_ROTATE",
        "Rotate a key",
        200,
        404,
        409,
        body="RotationInput",
        result="NewKey",
    )
    yield line("DELETE", one, revoke_key, "KEY_REVOKE", "Revoke a key", 200, 404, result="Key")


def key_schemas(resources: Resources) -> dict[str, Schema]:
    """Describe what the routes of API keys take and give."""
    key = struct_schema(ListedKey, **_OF_KEYS) | like(_key())
    new = object_schema(key_fields(resources), input=True, owner="Key") | {"examples": [dict(_KEY_INPUT)]}
    new_key = NewKey(**msgspec.structs.asdict(_key()), key=_KEY)
    return {
        "Key": key,
        "KeyInput": new,
        "KeyChange": {name: value for name, value in new.items() if name != "required"},
        "KeyList": list_schema("Key", key),
        "NewKey": struct_schema(NewKey, **_OF_KEYS) | like(new_key),
        "RotationInput": object_schema(ROTATION_FIELDS, input=True, owner="Rotation"),
    }


def _key() -> ListedKey:
    return ListedKey(
        id="4fK2mQ8sZ1",
        name="erp",
        scopes=list(DEFAULT_SCOPES),
        networks=["10.20.0.0/16"],
        created_at=AT,
        expires_at=None,
        revoked_at=None,
        rotating_until=None,
        last_used_at=None,
    )
