"""API keys: made, listed, changed, rotated and revoked."""

from typing import Any

import msgspec

from retailos import keys
from retailos.database.pool import Pool
from retailos.declare.resource import Resources
from retailos.keys import ListedKey, NewKey
from retailos.keys.key import read_key, read_rotation
from retailos.settings import Settings


async def list_keys(pool: Pool) -> list[ListedKey]:
    """List the API keys, the newest first."""
    return await keys.listed(pool)


async def show_key(pool: Pool, key_id: str) -> ListedKey:
    """Show one API key."""
    return await keys.shown(pool, key_id)


async def add_key(pool: Pool, resources: Resources, settings: Settings, body: Any) -> NewKey:
    """Make an API key, or say field by field why it can't be; its text is shown this once."""
    values = read_key(resources, body)
    return await keys.create(pool, environment=settings.environment, pepper=settings.pepper_bytes, **values)


async def change_key(pool: Pool, resources: Resources, key_id: str, body: Any) -> ListedKey:
    """Change an API key: what is absent is kept. KeyRevoked if it was."""
    kept = msgspec.to_builtins(await keys.shown(pool, key_id))
    return await keys.change(pool, key_id, **read_key(resources, body, kept))


async def rotate_key(pool: Pool, settings: Settings, key_id: str, body: Any) -> NewKey:
    """Give an API key another secret, shown this once; the one that it has opens on for the seconds in the body."""
    return await keys.rotate(
        pool,
        key_id,
        environment=settings.environment,
        pepper=settings.pepper_bytes,
        grace_seconds=read_rotation(body),
    )


async def revoke_key(pool: Pool, key_id: str) -> ListedKey:
    """Take an API key away for good; every process refuses it within 5 s."""
    return await keys.revoke(pool, key_id)
