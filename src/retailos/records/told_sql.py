"""The statement that reads records for a webhook: which version of them, what is shown, and whether it is to be told.

What is plain stays plain: a webhook that wants the newest state of every record whole has a look-up by ids and no more.
"""

from dataclasses import dataclass
from typing import Any

from retailos.declare.field import Field, Reference
from retailos.declare.resource import Resource, Resources
from retailos.records.change_sql import reopened
from retailos.records.page import condition, shown
from retailos.records.query import Filter
from retailos.records.render import rendered

#: The parameters that every such statement begins with.
_FIRST = ("records", "acknowledged", "positions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is read of each record beside its ids, its version and its last operation."""

    #: What goes out, in this order: `json`.
    show: tuple[Field | Reference, ...]
    #: Fields that its address is made of: `address`.
    address: tuple[Field, ...] = ()
    #: What all must be true of a record: `matches`.
    where: tuple[Filter, ...] = ()
    #: Members of which `digest` is made, with the external id and whether the record is deleted; references only as in
    #: `show`.
    watched: tuple[Field | Reference, ...] = ()
    #: API keys: `echoed` is whether all changes since what is acknowledged came with these, and are all that was sent.
    keys: tuple[str, ...] = ()
    #: The first change behind a position that has a snapshot is read, if there is one, and not the newest state.
    every: bool = False


def reading(resources: Resources, resource: Resource, wanted: Wanted) -> tuple[str, list[Any]]:
    """The statement and its parameters behind the first: records ($1), and where `by_claim`, of each two versions.

    $2 is the version that is acknowledged, $3 the one behind which a change is read.
    """
    values: list[Any] = list(_FIRST[: 3 if by_claim(wanted) else 1])
    first = len(values)
    printed, joined = shown(resources, resource, wanted.show)
    columns = ["r.id", "r.external_id", "r.version", "r.operation", "r.deleted_at is not null as deleted"]
    columns.append(f"{printed} as json")
    if wanted.address:
        columns.append(f"{rendered(resources, resource, 'r', wanted.address)} as address")
    if wanted.where:
        matches = " and ".join(condition(resources, resource, each, values) for each in wanted.where)
        columns.append(f"coalesce({matches}, false) as matches")
    if wanted.watched:
        # What is watched of others is shown as well, so it is joined.
        seen, _ = shown(resources, resource, wanted.watched)
        columns.append(f"md5({seen} || r.external_id || (r.deleted_at is null))::uuid as digest")
    if wanted.keys:
        values.append(list(wanted.keys))
        columns.append(f"{_echoed(f'${len(values)}::text[]')} as echoed")
    return f"select {', '.join(columns)} from {_rows(resource, wanted)}{joined}{_where(wanted)}", values[first:]


def by_claim(wanted: Wanted) -> bool:
    """Whether what is read of a record depends on what its claim says."""
    return bool(wanted.every or wanted.keys)


def _rows(resource: Resource, wanted: Wanted) -> str:
    if not by_claim(wanted):
        return f"{resource.table} as r"
    given = "unnest($1::uuid[], $2::integer[], $3::integer[]) as given(record_id, acknowledged, position)"
    if not wanted.every:
        return f"{given} join {resource.table} as r on r.id = given.record_id"
    return f"""{given}
join {resource.table} as newest on newest.id = given.record_id
left join lateral (
    select snapshot from change
    where change.record_id = given.record_id and change.version > given.position and snapshot is not null
    order by change.version limit 1
) as next on true
cross join lateral {reopened(resource, "coalesce(next.snapshot, to_jsonb(newest))")} as r"""


def _where(wanted: Wanted) -> str:
    return "" if by_claim(wanted) else " where r.id = any($1::uuid[])"


def _echoed(keys: str) -> str:
    """Whether each version behind what is acknowledged was sent with one of these keys, and is known there as it is."""
    since = "change.record_id = r.id and change.version > given.acknowledged and change.version <= r.version"
    theirs = f"change.as_sent and change.api_key_id = any({keys})"
    return f"(select count(*) from change where {since} and {theirs}) = r.version - given.acknowledged"
