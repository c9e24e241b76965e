"""Records that are sent again as they were, by the thousand: known by the digest of their bytes, and not read.

Who sends everything every night sends mostly what is there already. Where an upsert changes nothing, the digest of its
bytes is kept with the version of its record. Every change of a record makes another version of it; so while the version
stands, the same bytes would change nothing again. Reading them could say no more.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from retailos.database.pool import Connection
from retailos.database.statements import load
from retailos.declare.kind import storable
from retailos.declare.resource import Resource, Resources
from retailos.records import resent_sql
from retailos.records.identity import new_id
from retailos.records.record import Outcome, Written
from retailos.records.upsert import is_awaited, is_overtaking

_SQL = load(__file__)
_KEEP_JOBS, _LEARN = _SQL.keep_jobs, _SQL.learn

#: Records of a request that are looked at first: where none of them is known, probably none is. Fewer in all are not
#: worth the look.
SAMPLE: Final = 16
_DIGEST_BYTES: Final = 16

#: A record's bytes, as they stand in the request.
Piece = msgspec.Raw


class Same(NamedTuple):
    """A record that is as it was sent."""

    external_id: str
    id: UUID
    version: int


def cut(resource: Resource, raw: bytes) -> Sequence[Piece]:
    """Cut a request's body into its records, without reading them.

    None where they are few, or it is not just an array under the plural name, evenly spaced: then it has to be read.
    """
    opening, many = _opening(resource), _many(resource)
    begun = opening.match(raw)
    if begun is None:
        return ()
    try:
        pieces: Sequence[Piece] = many.decode(raw).records
    except msgspec.DecodeError:
        return ()
    # The decoder passes over a name that stands there twice, so what it gave must be all that there is.
    between = _BETWEEN.match(raw, begun.end() + len(memoryview(pieces[0]))) if pieces else None
    whole = (between[0] if between else b"").join(pieces)
    end = begun.end() + len(whole)
    return pieces if len(pieces) >= SAMPLE and raw[begun.end() : end] == whole and _CLOSING.fullmatch(raw, end) else ()


async def unchanged(
    connection: Connection, resources: Resources, resource: Resource, pieces: Sequence[Piece]
) -> dict[int, Same]:
    """Give the records that are just as their pieces say, by position, as far as that is known.

    What is not among them has to be read and written.
    """
    if not _is_told_by_its_version(resources, resource):
        return {}
    step = max(1, len(pieces) // SAMPLE)
    if not await _find(connection, resources, resource, range(0, len(pieces), step), pieces):
        return {}
    return await _find(connection, resources, resource, range(len(pieces)), pieces)


async def _find(
    connection: Connection, resources: Resources, resource: Resource, positions: Sequence[int], pieces: Sequence[Piece]
) -> dict[int, Same]:
    names = _names(resources, resource, (pieces[i] for i in positions))
    if not names:
        return {}
    digests = _digests(resource, (pieces[i] for i in positions))
    try:
        rows = await connection.fetch(resent_sql.unchanged(resource), names, digests)
    except asyncpg.PostgresError as error:
        if is_awaited(error) or is_overtaking(error):
            return {}
        raise
    return {positions[i - 1]: Same(names[i - 1], record_id, version) for i, record_id, version in rows}


async def keep_jobs(
    connection: Connection, resource: Resource, same: Mapping[int, Same], *, request_id: UUID, batch_id: UUID
) -> dict[int, Written]:
    """Keep a job for each record that is as it was sent, and give what came of it: nothing."""
    ids = [new_id() for _ in same]
    names, records, versions = zip(*same.values(), strict=True)
    at = await connection.fetchval(
        _KEEP_JOBS, resource.queue("upsert"), request_id, batch_id, ids, names, records, versions, list(same)
    )
    return {
        position: Written(
            job_id=job_id, external_id=name, record_id=record, version=version, outcome=Outcome.UNCHANGED, at=at
        )
        for position, job_id, (name, record, version) in zip(same, ids, same.values(), strict=True)
    }


async def learn(
    connection: Connection, resource: Resource, pieces: Sequence[Piece], results: Iterable[tuple[int, Written]]
) -> None:
    """Remember the pieces that were read and found to say what is there already."""
    # One record may have been sent by two of its names; its row is written once.
    found = {
        each.record_id: (each.version, pieces[i])
        for i, each in results
        if each.outcome is Outcome.UNCHANGED and not each.warnings
    }
    if found:
        versions, known = zip(*found.values(), strict=True)
        await connection.execute(_LEARN, list(found), versions, _digests(resource, known))


def _names(resources: Resources, resource: Resource, pieces: Iterable[Piece]) -> list[str]:
    """The external ids that pieces say, or that follow from the natural keys that they say.

    None where one says none, or two say the same, or one can't be looked up.
    """
    read = _named(resources, resource).decode
    try:
        names = [_name(resource, read(each)) for each in pieces]
    except msgspec.DecodeError:
        return []
    return names if all(names) and len(set(names)) == len(names) and storable("".join(names)) else []


def _name(resource: Resource, said: Any) -> str:
    """What the record is called if it is one that was called so; a record found otherwise is told by its digest."""
    if said.external_id is not None or resource.natural_key is None:
        return str(said.external_id)
    key = [getattr(said, name) for name in resource.natural_key.references]
    return resource.natural_key.external_id(each.external_id for each in key) if all(key) else ""


def _digests(resource: Resource, pieces: Iterable[Piece]) -> list[bytes]:
    salt = _salt(resource)
    return [blake2b(each, digest_size=_DIGEST_BYTES, salt=salt).digest() for each in pieces]


@lru_cache
def _salt(resource: Resource) -> bytes:
    """How the resource is declared: declared otherwise, the same bytes may mean something else."""
    meaning = repr((resource.name, dict(resource.settable), resource.references, resource.rules))
    return blake2b(meaning.encode(), digest_size=_DIGEST_BYTES).digest()


@lru_cache
def _is_told_by_its_version(resources: Resources, resource: Resource) -> bool:
    """Whether nothing else makes the same bytes mean something else: a merge leaves references within items alone."""
    within = (each for array in resource.inner.values() for each in array.references)
    return not any(resources[each.to].mergeable for each in within)


@lru_cache
def _many(resource: Resource) -> msgspec.json.Decoder[Any]:
    records = ("records", list[Piece], msgspec.field(name=resource.plural))
    return msgspec.json.Decoder(msgspec.defstruct("Many", [records], forbid_unknown_fields=True))


@lru_cache
def _named(resources: Resources, resource: Resource) -> msgspec.json.Decoder[Any]:
    if resource.natural_key is None:
        return msgspec.json.Decoder(_naming(resource))
    external_id = ("external_id", str | None, msgspec.field(name=resource.external_id.name, default=None))
    names = resource.natural_key.references
    key = [(name, _naming(resources[resource.reference[name].to]) | None, None) for name in names]
    return msgspec.json.Decoder(msgspec.defstruct("Named", [external_id, *key]))


def _naming(resource: Resource) -> Any:
    return msgspec.defstruct("Naming", [("external_id", str, msgspec.field(name=resource.external_id.name))])


@lru_cache
def _opening(resource: Resource) -> re.Pattern[bytes]:
    return re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"%s"[ \t\r\n]*:[ \t\r\n]*\[[ \t\r\n]*' % resource.plural.encode())


_BETWEEN: Final = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*")
_CLOSING: Final = re.compile(rb"[ \t\r\n]*\][ \t\r\n]*\}[ \t\r\n]*")
