"""Reading statements, composed: one record, many records, and a page of a list with its count."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from retailos.declare.field import Field, Reference, snake
from retailos.declare.finders import During, Finder, Item, Through
from retailos.declare.kind import Kind
from retailos.declare.resource import Resource, Resources
from retailos.declare.texts import Text
from retailos.records.named_sql import formerly, named
from retailos.records.query import Filter, Near, Query
from retailos.records.render import joins, rendered
from retailos.records.table import items_at, read_as

#: Mean radius of the earth, in kilometres.
_EARTH = 6371.0
_COMPARE = {
    "eq": "=",
    "ne": "is distinct from",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "startsWith": "like",
}.get


@lru_cache(maxsize=1000)
def shown(resources: Resources, resource: Resource, show: tuple[Field | Reference, ...]) -> tuple[str, str]:
    """Give the SQL that prints a row `r`, and the joins that it needs."""
    references = [each for each in show if isinstance(each, Reference)]
    if not resource.inner:
        return rendered(resources, resource, "r", show), joins(resources, "r", references)
    printed, joined = rendered(resources, resource, "opened", show), joins(resources, "opened", references)
    return f"(select {printed} from ({_opened(resource)}) as opened{joined})", ""


def _opened(resource: Resource) -> str:
    """The row `r` once more, its body unpacked: PostgreSQL compresses a large one, and unpacks it for each look."""
    kept = (each.at for each in resource.fields.values() if each.at)
    own = ", ".join(f"r.{column}" for column in (*kept, *map(snake, resource.columns)))
    return f"select {own}, r.body || '{{}}'::jsonb as body offset 0"


@lru_cache(maxsize=1000)
def by_id(resources: Resources, resource: Resource, show: tuple[Field | Reference, ...]) -> str:
    """The statement that reads records by their ids ($1), and gives each with the id that was `asked` for."""
    return _asked(resources, resource, show, "uuid", "given.asked")


@lru_cache(maxsize=1000)
def by_external_id(resources: Resources, resource: Resource, show: tuple[Field | Reference, ...]) -> str:
    """The statement that reads records by their external ids ($1), or by ones that they had before; each as `asked`."""
    return _asked(resources, resource, show, "text", f"({named(resource, 'given.asked')})")


def _asked(resources: Resources, resource: Resource, show: tuple[Field | Reference, ...], kind: str, found: str) -> str:
    printed, joined = shown(resources, resource, show)
    columns = f"r.version, r.deleted_at is not null as deleted, r.merged_into_id, {printed} as json"
    given = f"unnest($1::{kind}[]) as given(asked)"
    return f"select given.asked, {columns} from {given} join {resource.table} as r on r.id = {found}{joined}"


@lru_cache(maxsize=100)
def by_ids(resources: Resources, resource: Resource, relations: tuple[str, ...]) -> str:
    """The statement that reads many records ($1, uuids) whole, deleted ones too, as they go out with a webhook."""
    show = tuple(each for each in resource.shown if isinstance(each, Field) or each.name in relations)
    printed, joined = shown(resources, resource, show)
    return (
        f"select r.id, r.external_id, r.version, r.operation, {printed} as json"
        f" from {resource.table} as r{joined} where r.id = any($1::uuid[])"
    )


def page(resources: Resources, resource: Resource, query: Query) -> tuple[str, list[Any]]:
    """The statement that reads a page as one text, its rows joined by commas, and its parameters.

    Gives also how many records match, whether more follow, and the sort keys of the last as a JSON array.
    """
    values: list[Any] = []
    conditions = list(_conditions(resources, resource, query, values))
    counted = _count(resource, query, _where(conditions), list(values))
    if query.after is not None:
        conditions.append(_behind(resource, query, query.after, values))
    printed, joined = shown(resources, resource, query.show)
    order = ", ".join(f"r.{column(resource, path)}{' desc' if down else ''}" for path, down in query.order)
    keys = ", ".join(_key(resource, path) for path, _ in query.order)
    rows = (
        f"select {printed} as json, json_build_array({keys})::text as key, row_number() over (order by {order}) as n"
        f" from {resource.table} as r{joined}{_where(conditions)}"
        f" order by {order} limit {query.limit + 1} offset {query.offset}"
    )
    # One row more than is shown tells whether there is a next page.
    last = query.limit + query.offset
    return (
        f"select {counted} as count, coalesce(string_agg(json, ',' order by n) filter (where n <= {last}), '') as rows,"
        f" max(key) filter (where n = {last}) as key, coalesce(max(n) > {last}, false) as more"
        f" from ({rows}) as page"
    ), values


def _where(conditions: Sequence[str]) -> str:
    return f" where {' and '.join(conditions)}" if conditions else ""


def _key(resource: Resource, path: str) -> str:
    """The SQL of a sort key as text, in the form that cursors are read in."""
    found, kind = f"r.{column(resource, path)}", resource.kind_at(path).sql_type
    if kind == "timestamptz":
        return f"to_char({found} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
    return f"to_char({found}, 'YYYY-MM-DD')" if kind == "date" else f"{found}::text"


def _behind(resource: Resource, query: Query, after: Sequence[Any], values: list[Any]) -> str:
    """The condition that a record stands behind the one with these sort keys, in the query's order.

    PostgreSQL puts nulls last, and first where the order descends. The bound on the first key follows from the rest;
    it is there for the index to begin at.
    """
    ways: list[str] = []
    same: list[str] = []
    bound = ""
    for (path, down), key in zip(query.order, after, strict=True):
        found, nullable = f"r.{column(resource, path)}", resource.field_at(path).nullable
        if key is None:
            beyond, equal = (f"{found} is not null" if down else "false"), f"{found} is null"
        else:
            values.append(key)
            given, sign = f"${len(values)}::{resource.kind_at(path).sql_type}", "<" if down else ">"
            ends = nullable and not down
            beyond, equal = f"({found} {sign} {given}{f' or {found} is null' if ends else ''})", f"{found} = {given}"
            bound = bound or ("" if ends or same else f"{found} {sign}= {given} and ")
        ways.append(" and ".join([*same, beyond]))
        same.append(equal)
    return f"({bound}({' or '.join(f'({way})' for way in ways)}))"


def _count(resource: Resource, query: Query, where: str, values: list[Any]) -> str:
    if not query.with_count:
        return "null::bigint"
    if query.filters or query.q or query.near or query.include_deleted:
        return f"(select count(*) from {resource.table} as r{where})"
    return f"(select coalesce(sum(delta), 0)::bigint from tally where resource = '{resource.name}')"


def column(resource: Resource, path: str) -> str:
    """The column that holds a path."""
    field = resource.field_at(path)
    return field.at or snake(path)


def _conditions(resources: Resources, resource: Resource, query: Query, values: list[Any]) -> Iterable[str]:
    if not query.include_deleted:
        yield "r.deleted_at is null"
    for each in query.filters:
        yield condition(resources, resource, each, values)
    if query.q:
        yield from _search(resource, query.q, values)
    if query.near and resource.place:
        yield _within(resource.place, query.near, values)


def condition(resources: Resources, resource: Resource, filter_: Filter, values: list[Any]) -> str:
    """The SQL of a filter on a row `r`; what it compares with is added to `values`, the statement's parameters."""
    finder = resource.finder(filter_.path)
    if finder:
        return _finding(resources, resource, finder, filter_, values)
    relation, _, member = filter_.path.partition(".")
    if member and relation in resource.reference:
        return _related(resources, resource.reference[relation], member, filter_, values)
    if filter_.path == resource.external_id.name and filter_.operator in ("eq", "in", "ne"):
        return _named(resource, filter_, values)
    kind, found = resource.kind_at(filter_.path), _found(resource, filter_.path)
    if filter_.operator == "isNull":
        return f"{found} is {'' if filter_.value else 'not '}null"
    values.append(_beginning(filter_.value) if filter_.operator == "startsWith" else filter_.value)
    if filter_.operator == "in":
        given = f"unnest(${len(values)}::{kind.sql_type}[]) as given(v)"
        return f"{found} = any(array(select {_folded(kind, 'v')} from {given}))"
    given = _folded(kind, f"${len(values)}::{kind.sql_type}")
    return f"{found} {_COMPARE(filter_.operator)} {given}"


def _named(resource: Resource, filter_: Filter, values: list[Any]) -> str:
    """The condition that a record has one of some external ids, or had it, or that of what was merged into it."""
    given = _any_of(resource.external_id.kind, filter_, values)
    return _negated(filter_, f"(r.external_id = any({given}) or r.id = any(array({formerly(resource, given)})))")


def _folded(kind: Kind, value: str) -> str:
    """A value as its column holds it: in lower case, where case does not count."""
    return f"lower({value})" if isinstance(kind, Text) and kind.folded else value


def _found(resource: Resource, path: str) -> str:
    """The SQL of the value at a path: its column, or what its column would be generated from."""
    field = resource.field_at(path)
    if field.at or path in resource.columns:
        return f"r.{field.at or snake(path)}"
    return read_as(resource, path, "r.body")


def _related(resources: Resources, reference: Reference, member: str, filter_: Filter, values: list[Any]) -> str:
    if filter_.operator == "isNull":
        return f"r.{snake(reference.id_field.name)} is {'' if filter_.value else 'not '}null"
    target = resources[reference.to]
    kind = target.kind_at(member)
    given = _any_of(kind, filter_, values)
    matches = f"select id from {target.table} where {column(target, member)} = any({given})"
    if member == target.external_id.name:
        matches += f" union all {formerly(target, given)}"
    if reference.ids:
        return _negated(filter_, _among(reference.ids, f"array(select id::text from ({matches}) as found)"))
    return _negated(filter_, f"r.{snake(reference.id_field.name)} = any(array({matches}))")


def _finding(resources: Resources, resource: Resource, finder: Finder, filter_: Filter, values: list[Any]) -> str:
    """The condition of a parameter that looks elsewhere than at a field of its name."""
    match finder:
        case Through():
            return _related(resources, resource.reference[finder.reference], finder.field, filter_, values)
        case Item():
            kind = resources.found_kind(resource, finder)
            return _negated(filter_, _among(finder.path, _any_of(kind, filter_, values)))
        case During():
            values.append(filter_.value)
            begin, end = (_found(resource, name) for name in (finder.begin, finder.end))
            given = f"${len(values)}::{resource.kind_at(finder.begin).sql_type}"
            return f"coalesce({begin} <= {given}, true) and coalesce({end} > {given}, true)"


def _any_of(kind: Kind, filter_: Filter, values: list[Any]) -> str:
    """The SQL of an array of the values that are looked for."""
    values.append(filter_.value if filter_.operator == "in" else [filter_.value])
    given = f"${len(values)}::{kind.sql_type}[]"
    folded = _folded(kind, "v")
    return given if folded == "v" else f"array(select {folded} from unnest({given}) as given(v))"


def _among(path: str, given: str) -> str:
    """The condition that the items of an array, at a path in the body, are some of these texts; an index holds them."""
    return f"{items_at(path, 'r.body')} ?| {given}"


def _negated(filter_: Filter, condition: str) -> str:
    """What is not there is not equal either."""
    return f"({condition}) is not true" if filter_.operator == "ne" else condition


def _search(resource: Resource, q: str, values: list[Any]) -> Iterable[str]:
    """Every word must begin one of the searched fields; those that can't hold it are passed over."""
    for word in q.split()[:10]:
        options = []
        for path in resource.search:
            kind = resource.kind_at(path)
            with suppress(ValueError):
                values.append(_beginning(kind.parse(word)))
                options.append(f"{_found(resource, path)} like {_folded(kind, f'${len(values)}::text')}")
        yield f"({' or '.join(options)})" if options else "false"


def _beginning(text: str) -> str:
    """The pattern of what begins with a text, for `like`."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def _within(place: tuple[str, str], near: Near, values: list[Any]) -> str:
    """Great-circle distance, behind a band of latitudes that the index can find."""
    values.extend((float(near.latitude), float(near.longitude), float(near.kilometres)))
    lat, lon, km = (f"${len(values) - n}::float8" for n in (2, 1, 0))
    latitude, longitude = (f"r.{snake(name)}::float8" for name in place)
    band = f"r.{snake(place[0])} between ({lat} - {km} / 111.0)::numeric and ({lat} + {km} / 111.0)::numeric"
    half = f"sind(({latitude} - {lat}) / 2) ^ 2 + cosd({lat}) * cosd({latitude}) * sind(({longitude} - {lon}) / 2) ^ 2"
    return f"({band} and 2 * {_EARTH} * asin(least(1, sqrt({half}))) <= {km})"
