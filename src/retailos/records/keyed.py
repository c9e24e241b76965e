"""Records found by natural keys, those of a batch all at once: they may have any external id, or be none yet."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
from msgspec import structs

from retailos.database.pool import Connection
from retailos.declare.resource import Resource, Resources
from retailos.records import named_sql
from retailos.records.identity import new_id
from retailos.records.natural import Key, key_of, natural_id
from retailos.records.record import Draft, Want
from retailos.records.table import together_index


async def named(
    connection: Connection, resources: Resources, resource: Resource, drafts: Sequence[Draft]
) -> list[Draft]:
    """Give drafts the external ids that the records with their natural keys have, or will have, in one statement."""
    given = list(drafts)
    for i, (key, row) in (await _look_up(connection, resources, resource, _keys(resource, drafts))).items():
        name = row["known"] or drafts[i].external_id or natural_id(resource, _completed(key, row))
        # Where a record is named by an id that there is not, the draft will be refused, under any name.
        given[i] = structs.replace(drafts[i], external_id=name or str(new_id()))
    return given


async def owned(
    connection: Connection, resources: Resources, resource: Resource, drafts: Sequence[Draft]
) -> dict[int, str]:
    """Give the external ids of the living records with the natural keys of drafts, by position, where there are any."""
    found = await _look_up(connection, resources, resource, _keys(resource, drafts))
    return {i: row["known"] for i, (_, row) in found.items() if row["known"] is not None}


async def known(connection: Connection, resources: Resources, resource: Resource, names: Sequence[str]) -> str | None:
    """Give the external id of the living record with the natural key that external ids name; None: there is none."""
    references = resource.natural_key.references if resource.natural_key else ()
    key = tuple(Want(reference=each, at="", external_id=name) for each, name in zip(references, names, strict=True))
    _, row = (await _look_up(connection, resources, resource, {0: key}))[0]
    found: str | None = row["known"]
    return found


def _keys(resource: Resource, drafts: Sequence[Draft]) -> dict[int, Key]:
    return {i: key for i, each in enumerate(drafts) if each.by_key and (key := key_of(resource, each.wants))}


async def _look_up(
    connection: Connection, resources: Resources, resource: Resource, keys: Mapping[int, Key]
) -> dict[int, tuple[Key, asyncpg.Record]]:
    """Find what natural keys lead to, all of them in one statement, and in none where there are none."""
    if not keys:
        return {}
    columns = [column for wants in zip(*keys.values(), strict=True) for column in _columns(wants)]
    rows = await connection.fetch(named_sql.by_natural_key(resources, resource), *columns)
    return {i: (key, row) for (i, key), row in zip(keys.items(), rows, strict=True)}


def _columns(wants: Sequence[Want]) -> tuple[list[Any], list[Any]]:
    return [want.id for want in wants], [want.external_id for want in wants]


def _completed(key: Key, row: asyncpg.Record) -> Key:
    """A key with the external ids of what it named by our id."""
    names = [want.external_id or row[f"name_{i}"] for i, want in enumerate(key, start=1)]
    return tuple(structs.replace(want, external_id=name) for want, name in zip(key, names, strict=True))


def is_met(resource: Resource, draft: Draft, error: BaseException) -> bool:
    """Whether another writer has just made the record with a draft's natural key: tried again, the draft finds it."""
    if not (draft.by_key and resource.key_rule and isinstance(error, asyncpg.UniqueViolationError)):
        return False
    return bool(error.constraint_name == together_index(resource, resource.key_rule))
