"""Parked upserts that wait for each other and for nothing else: found, and written together in one transaction.

A basket names the order that was made of it, and the order names the basket. Whichever comes last closes the circle.

Two transactions could each bring what the other one misses, and neither see it. So whoever parks what may stand in a
circle takes the place of its own record, too, and whoever looks for a circle and finds one open takes the place of a
record that is missing there, and looks again. So whoever brings that record, or parks it, has done so before the look,
or does it, and looks itself, after this transaction's end.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import asyncpg

from retailos.database.pool import Connection
from retailos.database.statements import load
from retailos.declare.resource import Resource, Resources
from retailos.errors import RetailOSError
from retailos.records import named_sql, parked
from retailos.records.applying import Name, Result, apply, in_between, keep_places, lock_trees
from retailos.records.record import Written
from retailos.records.resolve import Coming, Unresolved, circle, climbs, reference_of
from retailos.records.upsert import Upsert

_SQL = load(__file__)
_REACHED, _HOLD = _SQL.reached, _SQL.hold

#: Upserts that wait for each other and are looked at from one of them: a circle is of two or three, some tens in a
#: whole shop of stores, regions and users. What belongs to more stays parked until its time is over.
MEMBERS_MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """What was written of circles: what came of each upsert, by its job, and which records there are now."""

    results: Mapping[UUID, Result]
    come: dict[str, set[str]]


class _Member(NamedTuple):
    """A parked upsert and what its record is."""

    resource: Resource
    upsert: Upsert

    @property
    def name(self) -> Name:
        return self.resource.name, self.upsert.external_id


class _Spoilt(Exception):
    """Some of the members can't be written, so none of this attempt counts."""

    def __init__(self, refused: Mapping[UUID, RetailOSError], waiting: Collection[UUID]) -> None:
        super().__init__()
        self.refused, self.waiting = refused, waiting


def circling(resources: Resources, resource: Resource, waiting: Mapping[UUID, Unresolved]) -> list[UUID]:
    """Those of a resource's upserts, by their jobs, that wait for what may wait for them in turn."""
    if not waiting:
        return []
    kin = kin_of(resources, resource)
    return [job_id for job_id, each in waiting.items() if any(awaited.resource in kin for awaited in each.awaits)]


def kin_of(resources: Resources, resource: Resource) -> set[str]:
    """The resources that refer to one and that it refers to, be it through others: all that a circle may be made of."""
    below: set[str] = set()
    more = set(resource.refers_to)
    while more:
        below |= more
        more = {to for each in more for to in resources[each].refers_to} - below
    kin: set[str] = set()
    more = {resource.name} & below
    while more:
        kin |= more
        more = {name for name in below - kin if not kin.isdisjoint(resources[name].refers_to)}
    return kin


async def close(transaction: Connection, resources: Resources, resource: Resource, starts: Collection[UUID]) -> Closed:
    """Write the circles that some parked upserts of a resource, by their jobs, are on; what is on none stays as it is.

    A member that can't be written fails with its own error, and what waits for it goes on waiting.
    """
    if not starts:
        return Closed(results={}, come={})
    held = await _held(transaction, resources, sorted(kin_of(resources, resource)), starts)
    members = [_Member(resources[row["resource"]], parked.read(row)) for row in held]
    coming = await _coming(transaction, members)
    done: list[Written] = []
    refused: dict[UUID, RetailOSError] = {}
    if members:
        await lock_trees(transaction, resources, {each.resource.name for each in members})
    while members and not done:
        try:
            async with transaction.transaction():
                done = await _write(transaction, resources, members, coming)
        except _Spoilt as spoilt:
            refused |= spoilt.refused
            members, coming = _without(members, coming, spoilt.refused.keys() | spoilt.waiting)
    await parked.finish(transaction, done)
    await parked.fail(transaction, refused)
    come: defaultdict[str, set[str]] = defaultdict(set)
    for each in members:
        come[each.resource.name].add(each.upsert.external_id)
    return Closed(results={**{each.job_id: each for each in done}, **refused}, come=come)


async def _held(
    transaction: Connection, resources: Resources, kin: Sequence[str], starts: Collection[UUID]
) -> list[asyncpg.Record]:
    """Find and hold what waits for nothing but each other, of some parked upserts and their kin that they wait for."""
    places: set[Name] = set()
    while True:
        found = await transaction.fetch(_REACHED, list(starts), MEMBERS_MOST + 1, kin)
        missing = {(row["resource"], row["external_id"]) for row in found if row["resource"]}
        if missing - places:
            await keep_places(transaction, resources, missing - places)
            places |= missing
            continue
        closed = [row["members"] for row in found if not row["resource"] and len(row["members"]) <= MEMBERS_MOST]
        ids = {each for members in closed for each in members}
        held = await transaction.fetch(_HOLD, list(ids)) if ids else []
        # One may have been given up, or have failed, while its lock was waited for.
        if len(held) == len(ids):
            return held


async def _coming(transaction: Connection, members: Sequence[_Member]) -> Coming:
    """The records that the members will make, by their names; what is there already is found there."""
    coming: dict[tuple[str, str | UUID], UUID] = {each.name: each.upsert.record_id for each in members}
    for resource in {each.resource for each in members}:
        names = [each.upsert.external_id for each in members if each.resource is resource]
        for row in await transaction.fetch(named_sql.find(resource), names, []):
            del coming[resource.name, row["external_id"]]
    return coming


async def _write(
    transaction: Connection, resources: Resources, members: Sequence[_Member], coming: Coming
) -> list[Written]:
    """Write all members, each with the references to the others filled in, or raise what spoils it."""
    done: list[Written] = []
    refused, waiting = _above_themselves(members, coming), set[UUID]()
    for resource, upserts in _in_order(members, coming):
        left = [each for each in upserts if each.job_id not in refused]
        applied = await apply(transaction, resources, resource, left, coming)
        if any(
            coming.get((resource.name, each.external_id), each.record_id) != each.record_id for each in applied.done
        ):
            raise in_between()
        done += applied.done
        refused |= applied.refused
        waiting |= applied.waiting.keys()
    if refused or waiting:
        raise _Spoilt(refused, waiting)
    return done


def _without(members: Sequence[_Member], coming: Coming, gone: Collection[UUID]) -> tuple[list[_Member], Coming]:
    """The members, and what they will make, without some of them and without what waits for those."""
    left, made = list(members), dict(coming)
    while gone:
        for each in members:
            if each.upsert.job_id in gone:
                made.pop(each.name, None)
        left = [each for each in left if each.upsert.job_id not in gone]
        gone = {each.upsert.job_id for each in left if any(name not in made for name in _named(each, coming))}
    return left, made


def _named(member: _Member, coming: Coming, *, only_parents: bool = False) -> Iterator[Name]:
    """What a member refers to of what is coming, and can't do without."""
    for want in member.upsert.draft.wants:
        reference = reference_of(member.resource, want)
        name = (reference.to, want.external_id or "")
        if name in coming and reference.unknown != "null" and (reference.levels or not only_parents):
            yield name


def _above_themselves(members: Sequence[_Member], coming: Coming) -> dict[UUID, RetailOSError]:
    """Refuse what would be its own ancestor, which no order of arrival would let stand."""
    return {
        each.upsert.job_id: circle(each.resource, each.upsert.draft)
        for each, above in _lineages(members, coming)
        if each.name in above
    }


def _in_order(members: Sequence[_Member], coming: Coming) -> Iterator[tuple[Resource, list[Upsert]]]:
    """Sort members into statements in the order of their keys; what has a parent goes alone, behind its parent."""
    groups: defaultdict[tuple[str, int, bool, str], list[Upsert]] = defaultdict(list)
    kinds = {each.resource.name: each.resource for each in members}
    for each, above in _lineages(members, coming):
        alone = each.upsert.external_id if climbs(each.resource, each.upsert.draft) else ""
        groups[each.resource.name, len(above), each.upsert.create_only, alone].append(each.upsert)
    for (name, *_), upserts in sorted(groups.items()):
        for first in range(0, len(upserts), parked.SET_MOST):
            yield kinds[name], upserts[first : first + parked.SET_MOST]


def _lineages(members: Sequence[_Member], coming: Coming) -> Iterator[tuple[_Member, set[Name]]]:
    """Each member with all that is coming and will be above it in a tree, which is itself where it is on a circle."""
    parents = {each.name: set(_named(each, coming, only_parents=True)) for each in members}
    for each in members:
        above: set[Name] = set()
        more = parents[each.name]
        while more - above:
            above |= more
            more = {parent for name in more for parent in parents[name]}
        yield each, above
