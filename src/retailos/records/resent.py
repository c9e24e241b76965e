"""Records that are sent again as they were, by the thousand: known by the digest of their bytes, and not read.

Who sends everything every night sends mostly what is there already. Where an upsert changes nothing, the digest of its
bytes is kept with the version of its record. Every change of a record makes another version of it; so while the version
stands, the same bytes would change nothing again. Reading them could say no more.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from retailos.database.pool import Connection
from retailos.database.statements import load
from retailos.declare.kind import storable
from retailos.declare.resource import Resource, Resources
from retailos.records import resent_sql
from retailos.records.form import DIGEST_BYTES, Form, Piece, Same, T
from retailos.records.identity import new_id
from retailos.records.record import Outcome, Written
from retailos.records.upsert import is_awaited, is_overtaking

_SQL = load(__file__)
_KEEP_JOBS, _LEARN = _SQL.keep_jobs, _SQL.learn

#: Records of a request that are looked at first: where none of them is known, probably none is. Fewer in all are not
#: worth the look.
SAMPLE: Final = 16


class Awaited(Exception):
    """Upserts wait for some of the records, or were accepted before and are not written yet: everything is read."""


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
    except (msgspec.DecodeError, RecursionError):
        return ()
    # The decoder passes over a name that stands there twice, so what it gave must be all that there is.
    between = _BETWEEN.match(raw, begun.end() + len(memoryview(pieces[0]))) if pieces else None
    whole = (between[0] if between else b"").join(pieces)
    end = begun.end() + len(whole)
    return pieces if len(pieces) >= SAMPLE and raw[begun.end() : end] == whole and _CLOSING.fullmatch(raw, end) else ()


async def unchanged(
    connection: Connection, resources: Resources, resource: Resource, form: Form[T], pieces: Sequence[T]
) -> dict[int, Same]:
    """Give the records that are just as their pieces say, by position, as far as that is known.

    What is not among them has to be read and written.
    """
    with suppress(Awaited):
        return await look(connection, resources, resource, form, pieces)
    return {}


async def look(
    connection: Connection, resources: Resources, resource: Resource, form: Form[T], pieces: Sequence[T]
) -> dict[int, Same]:
    """As unchanged(), but raise Awaited where upserts wait: a transaction around it is at its end, then."""
    if not _is_told_by_its_version(resources, resource):
        return {}
    step = max(1, len(pieces) // SAMPLE)
    if not await _find(connection, resource, form, range(0, len(pieces), step), pieces):
        return {}
    return await _find(connection, resource, form, range(len(pieces)), pieces)


async def _find(
    connection: Connection, resource: Resource, form: Form[T], positions: Sequence[int], pieces: Sequence[T]
) -> dict[int, Same]:
    names = _names(resource, form, [pieces[i] for i in positions])
    if not any(names):
        return {}
    digests = _digests(form, (pieces[i] for i in positions))
    try:
        rows = await connection.fetch(resent_sql.unchanged(resource), names, digests)
    except asyncpg.PostgresError as error:
        if is_awaited(error) or is_overtaking(error):
            raise Awaited from None
        raise
    once = {name for name, count in Counter(names).items() if count == 1}
    return {positions[i - 1]: Same(names[i - 1], *found) for i, *found in rows if names[i - 1] in once}


async def keep_jobs(
    connection: Connection,
    resource: Resource,
    same: Sequence[tuple[int, Same]],
    *,
    request_id: UUID | None,
    batch_id: UUID,
) -> list[Written]:
    """Keep a job for each record that is as it was sent, at its position, and give what came of it: nothing."""
    ids = [new_id() for _ in same]
    names, records, versions = zip(*(each for _, each in same), strict=True)
    positions = [position for position, _ in same]
    at = await connection.fetchval(
        _KEEP_JOBS, resource.queue("upsert"), request_id, batch_id, ids, names, records, versions, positions
    )
    return [
        Written(job_id=job_id, external_id=name, record_id=record, version=version, outcome=Outcome.UNCHANGED, at=at)
        for job_id, (_, (name, record, version)) in zip(ids, same, strict=True)
    ]


async def learn(connection: Connection, form: Form[T], results: Iterable[tuple[T, Written]]) -> None:
    """Remember the pieces that were read and found to say what is there already."""
    # One record may have been sent by two of its names; its row is written once.
    found = {
        each.record_id: (each.version, piece)
        for piece, each in results
        if each.outcome is Outcome.UNCHANGED and not each.warnings
    }
    if found:
        versions, known = zip(*found.values(), strict=True)
        await connection.execute(_LEARN, list(found), versions, _digests(form, known))


def _names(resource: Resource, form: Form[T], pieces: Sequence[T]) -> list[str]:
    """What pieces call their records, "" where that can't be told; a record found otherwise is told by its digest.

    None where a natural key may lead two of them to one record: the one by its name, and the other by its key.
    """
    called = [form.called(each) for each in pieces]
    names = [each.name for each in called]
    if resource.natural_key and not (all(names) and len({each.by_key for each in called}) == 1):
        return []
    return names if storable("".join(names)) else [each if storable(each) else "" for each in names]


def _digests(form: Form[T], pieces: Iterable[T]) -> list[bytes]:
    return [blake2b(form.raw(each), digest_size=DIGEST_BYTES, salt=form.salt).digest() for each in pieces]


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
def _opening(resource: Resource) -> re.Pattern[bytes]:
    return re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"%s"[ \t\r\n]*:[ \t\r\n]*\[[ \t\r\n]*' % resource.plural.encode())


_BETWEEN: Final = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*")
_CLOSING: Final = re.compile(rb"[ \t\r\n]*\][ \t\r\n]*\}[ \t\r\n]*")
