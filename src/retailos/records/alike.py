"""Records that are like another where they had better differ: taken, and the answer says so."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from retailos.database.pool import Connection
from retailos.declare.resource import Resource
from retailos.declare.rules import Together
from retailos.records import alike_sql

_encode = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode

#: A draft as it is looked at: its place, the external id of its record if it has one, and its patch.
Looked = tuple[int, str | None, Mapping[str, Any]]


async def alike(connection: Connection, resource: Resource, rule: Together, drafts: Sequence[Looked]) -> set[int]:
    """Give the places of the drafts whose record is like another, or like one that stands before it among them.

    A draft is looked at where all values of the rule were sent, and none is empty: two records that have none of it are
    not alike. One round trip for all of them, and none where there is nothing to look at.
    """
    sent = [
        (place, external_id, _encode({name: patch[name] for name in rule.fields}).decode())
        for place, external_id, patch in drafts
        if all(patch.get(name) for name in rule.fields)
    ]
    if not sent:
        return set()
    first: dict[str, int] = {}
    for place, _, values in sent:
        first.setdefault(values, place)
    rows = await connection.fetch(
        alike_sql.alike(resource, rule), [each for _, each, _ in sent], [values for _, _, values in sent]
    )
    known = {sent[row["i"] - 1][0] for row in rows}
    return known | {place for place, _, values in sent if first[values] != place}
