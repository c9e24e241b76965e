"""The checker of the fault tests: joins what clients were told, what the database says and what the receiver saw."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product

from retailos.receiver import Sighting

#: Of each kind of fault so many are quoted; the rest is counted.
QUOTED = 5


@dataclass(frozen=True, slots=True)
class Told:
    """What a client was told of a write that was answered 2xx."""

    record: str
    version: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as the database has it at the end; the hash is of the body that a webhook is sent of it."""

    record: str
    version: int
    body_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """What the database says that one webhook is owed of one record."""

    webhook: str
    record: str
    wanted: int
    acknowledged: int
    status: str
    claimed: bool
    due: bool

    def settles(self, version: int) -> bool:
        """Tell whether nothing is left to do, and the version is what was wanted and acknowledged."""
        at_rest = self.status == "delivered" and not self.claimed and not self.due
        return at_rest and self.wanted == self.acknowledged == version


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is wrong, a line each, and how many requests came twice, which a crash excuses."""

    #: A client was told of a version that the database does not have, or two were told of the same.
    missing: tuple[str, ...]
    #: A webhook was never told of a record.
    lost: tuple[str, ...]
    #: What a receiver accepted last is not what the database has.
    stale: tuple[str, ...]
    #: A receiver accepted a version after a later one.
    backward: tuple[str, ...]
    #: A register that is not at rest on the record's version.
    stuck: tuple[str, ...]
    #: One version of a record was sent with two bodies.
    contradictory: tuple[str, ...]
    duplicates: int

    @property
    def faults(self) -> int:
        """How many faults there are; duplicates are none."""
        return sum(len(lines) for lines in self._kinds().values())

    def report(self) -> str:
        """Say how many faults there are of each kind, quoting the first of them."""
        quoted = (line for lines in self._kinds().values() for line in lines[:QUOTED])
        counts = ", ".join(f"{name} {len(lines)}" for name, lines in self._kinds().items())
        return "\n  ".join([f"{counts}, duplicates {self.duplicates}", *quoted])

    def _kinds(self) -> dict[str, tuple[str, ...]]:
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "duplicates"}


def check(
    webhooks: Sequence[str],
    *,
    told: Iterable[Told],
    stored: Iterable[Stored],
    registers: Iterable[Register],
    sightings: Iterable[Sighting],
) -> Findings:
    """Judge a run that has come to rest; `sightings` are in the order in which the receiver applied them.

    Every webhook is owed every record. Every write is taken to have changed its record, and so to have made a version
    of its own. Only what the receiver answered 2xx counts as accepted.
    """
    records = {each.record: each for each in stored}
    standing = {(each.webhook, each.record): each for each in registers}
    seen: dict[tuple[str, str], list[Sighting]] = defaultdict(list)
    for each in sightings:
        if 200 <= each.status < 300:
            seen[each.webhook, each.record].append(each)
    owed = [(webhook, record) for webhook, record in product(webhooks, records.values())]
    return Findings(
        missing=tuple(_missing(told, records)),
        lost=tuple(
            f"{webhook} never got {each.record}" for webhook, each in owed if not seen.get((webhook, each.record))
        ),
        stale=tuple(_stale(owed, seen)),
        backward=tuple(line for one in seen.values() for line in _backward(one)),
        stuck=tuple(_stuck(owed, standing)),
        contradictory=tuple(_contradictory(seen)),
        duplicates=sum(_duplicates(one) for one in seen.values()),
    )


def _missing(told: Iterable[Told], records: Mapping[str, Stored]) -> Iterator[str]:
    for each, writes in Counter(told).items():
        if writes > 1:
            yield f"v{each.version} of {each.record} was acknowledged to {writes} writes, of which one is left"
        kept = records[each.record].version if each.record in records else 0
        if kept < each.version:
            yield f"{each.record} was acknowledged at v{each.version}, and the database has v{kept}"


def _stale(owed: Iterable[tuple[str, Stored]], seen: Mapping[tuple[str, str], Sequence[Sighting]]) -> Iterator[str]:
    for webhook, record in owed:
        accepted = seen.get((webhook, record.record), ())
        if accepted and (accepted[-1].version, accepted[-1].body_hash) != (record.version, record.body_hash):
            yield f"{webhook} ends on v{accepted[-1].version} of {record.record}, the database on v{record.version}"


def _backward(accepted: Sequence[Sighting]) -> Iterator[str]:
    newest = accepted[0]
    for each in accepted[1:]:
        if each.version < newest.version:
            late = f"{(each.at - newest.at) * 1000:.1f} ms after v{newest.version}"
            yield f"{each.webhook} got v{each.version} of {each.record} {late}"
        else:
            newest = each


def _stuck(owed: Iterable[tuple[str, Stored]], standing: Mapping[tuple[str, str], Register]) -> Iterator[str]:
    for webhook, record in owed:
        register = standing.get((webhook, record.record))
        if register is None:
            yield f"{webhook} has no register of {record.record}"
        elif not register.settles(record.version):
            yield f"v{record.version} is not at rest: {register}"


def _contradictory(seen: Mapping[tuple[str, str], Sequence[Sighting]]) -> Iterator[str]:
    bodies: dict[tuple[str, int], set[bytes]] = defaultdict(set)
    for accepted in seen.values():
        for each in accepted:
            bodies[each.record, each.version].add(each.body_hash)
    for (record, version), hashes in bodies.items():
        if len(hashes) > 1:
            yield f"v{version} of {record} was sent with {len(hashes)} bodies"


def _duplicates(accepted: Sequence[Sighting]) -> int:
    return len(accepted) - len({each.version for each in accepted})
