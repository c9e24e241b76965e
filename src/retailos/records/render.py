"""Rows printed as JSON by PostgreSQL: what is shown of a record in, the SQL of its text and its joins out."""

import json
from collections.abc import Iterable, Sequence

from retailos.declare.derived import Inherited, Lineage, Path
from retailos.declare.field import Field, Reference, snake
from retailos.declare.inner import INNER_ID, InnerArray
from retailos.declare.resource import Resource, Resources
from retailos.declare.shapes import FreeJson, ListOf, Shape
from retailos.declare.values import Boolean, Number, Timestamp
from retailos.records.table import body_text, inherited, literal


def rendered(resources: Resources, resource: Resource, row: str, show: Iterable[Field | Reference]) -> str:
    """Write the SQL that prints a row as one JSON object, its members in the order of `show`.

    Concatenated text: it takes 11 µs for a customer where json_build_object takes 21 and has a limit of 50 members.
    """
    return _object((each.name, _member(resources, resource, row, each)) for each in show)


def _object(members: Iterable[tuple[str, str]]) -> str:
    """Write the SQL of an object's text: pairs, and pairs of pairs, so that none copies all that stands before it."""
    parts = [part for name, value in members for part in (f"""',"{name}":'""", value)]
    parts[0] = parts[0].replace(",", "{", 1)
    parts.append("'}'")
    return f"({_balanced(parts)})"


def _balanced(parts: Sequence[str]) -> str:
    if len(parts) < 3:
        return " || ".join(parts)
    middle = (len(parts) + 1) // 2
    return f"({_balanced(parts[:middle])}) || ({_balanced(parts[middle:])})"


def joins(resources: Resources, row: str, references: Iterable[Reference]) -> str:
    """Write the joins that bring the records that a row's references show."""
    return "".join(
        f" left join {resources[each.to].table} as {_joined(each)}"
        f" on {_joined(each)}.id = ({row}.body->>'{each.id_field.name}')::uuid"
        for each in references
        if not each.ids
    )


def _member(resources: Resources, resource: Resource, row: str, member: Field | Reference) -> str:
    if isinstance(member, Field):
        if isinstance(member.kind, InnerArray):
            return _items(resources, resource, row, member.name, member.kind)
        if isinstance(member.derived, Inherited):
            own, other = body_text(member.name, f"{row}.body"), inherited(resources, resource, member.name, row)
            return f"coalesce(to_json(coalesce({own}, {other}))::text, 'null')"
        return _lineage(resource, row, member.derived) if isinstance(member.derived, Lineage) else _value(row, member)
    if member.ids:
        return _projections(resources, row, member)
    shown = rendered(resources, resources[member.to], _joined(member), resources.projection(member))
    return f"case when {_joined(member)}.id is null then 'null' else {shown} end"


def _value(row: str, field: Field) -> str:
    """Write the SQL that prints one field as JSON text, never null."""
    if field.derived:
        return f"coalesce(to_json({row}.{snake(field.name)})::text, 'null')"
    if field.at is None:
        default = literal(json.dumps(field.default, ensure_ascii=False))
        member = f"{row}.body->>'{field.name}'" if _is_its_text(field) else f"({row}.body->'{field.name}')::text"
        return f"coalesce({member}, {default})"
    column = f"{row}.{field.at}"
    if isinstance(field.kind, Timestamp):
        printed = f"""'"' || to_char({column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"'"""
    elif field.kind.sql_type == "uuid":
        printed = f"""'"' || {column}::text || '"'"""
    else:
        printed = f"to_json({column})::text"
    return f"coalesce({printed}, 'null')" if field.nullable else printed


def _is_its_text(field: Field) -> bool:
    """Whether a member's text is its JSON, as of all but texts; null has none, so it must read as what is missing."""
    kind = field.kind
    plain = isinstance(kind, Boolean | Number | ListOf | Shape) or (isinstance(kind, FreeJson) and kind.object_only)
    return plain and (field.default is None or not field.nullable)


def _lineage(resource: Resource, row: str, derived: Lineage) -> str:
    """Write the SQL that prints where a row stands in its tree: one look-up by id for each record above it.

    It is not kept, since moving one record would move all that are below it.
    """
    reference = resource.reference[derived.along]
    parent = snake(reference.id_field.name)
    ids = """'[' || string_agg('"' || above.id || '"', ',' order by above.level desc) || ']'"""
    return f"""(
    with recursive above as (
        select {row}.id, {row}.{parent}, 1 as level
        union all
        select up.id, up.{parent}, above.level + 1
        from above join {resource.table} as up on up.id = above.{parent} where above.level < {reference.levels}
    ) select {ids if isinstance(derived, Path) else "max(above.level)::text"} from above)"""


def _projections(resources: Resources, row: str, reference: Reference) -> str:
    shown = rendered(resources, resources[reference.to], "many", resources.projection(reference))
    ids = f"jsonb_array_elements_text(coalesce({row}.body->'{reference.ids}', '[]')) with ordinality as want(id, i)"
    table = resources[reference.to].table
    found = f"{ids} join {table} as many on many.id = want.id::uuid"
    listed = f"select string_agg({shown}, ',' order by want.i) from {found}"
    return f"'[' || coalesce(({listed}), '') || ']'"


def _items(resources: Resources, resource: Resource, row: str, name: str, array: InnerArray) -> str:
    """Write the SQL that prints an array of objects, each with an id that follows from the record's and its own."""
    members = ((each.name, _inner_member(resources, row, name, array, each)) for each in array.shown)
    of_record = f"({row}.body->'{resource.currency}')::text"
    printed = _object(
        (each, f"coalesce((item.body->'{each}')::text, {of_record}, 'null')" if each == array.currency else value)
        for each, value in members
    )
    matched = f"derived.key = item.body->>'{array.key}'"
    derived = f" left join {array.derived}({row}.body) as derived on {matched}" if array.derived else ""
    found = f"jsonb_array_elements({row}.body->'{name}') with ordinality as item(body, i){derived}"
    return f"'[' || coalesce((select string_agg({printed}, ',' order by item.i) from {found}), '') || ']'"


def _inner_member(resources: Resources, row: str, name: str, array: InnerArray, member: Field | Reference) -> str:
    key = f"item.body->>'{array.key}'"
    if member is INNER_ID:
        # A uuid of version 8 (RFC 9562): whoever knows the record and the item's external id can make it again.
        named = f"coalesce('/{name}/' || ({key}), '#{name}/' || item.i)"
        digest = f"encode(substr(sha256(convert_to({row}.id || {named}, 'UTF8')), 1, 16), 'hex')"
        return f"""'"' || overlay(overlay({digest} placing '8' from 13) placing '8' from 17)::uuid || '"'"""
    if isinstance(member, Reference):
        # No join: PostgreSQL takes every array for one of a hundred items, and would read all of a table of thousands.
        shown = rendered(resources, resources[member.to], "found", resources.projection(member))
        known = f"found.id = (item.body->>'{member.id_field.name}')::uuid"
        return f"coalesce((select {shown} from {resources[member.to].table} as found where {known}), 'null')"
    if array.derived and member.read_only:
        return f"coalesce(derived.{snake(member.name)}::text, {literal(json.dumps(member.default))})"
    return _value("item", member)


def _joined(reference: Reference) -> str:
    return f"to_{snake(reference.name)}"
