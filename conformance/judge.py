"""What a sender made of a receiver's behaviour, judged by what came on the wire and by nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from conformance.behaviours import ELSEWHERE, Behaviour, Should
from conformance.line import Asked, Visit

#: A timeout is kept if the connection is left within this share of it.
TIMEOUT_TOLERANCE = 0.2
#: The sender's own work and this machine's, when a moment is judged.
SLACK_SECONDS = 0.5
#: Of a body without end so much may be on its way in buffers before a sender stops it.
TAKEN_MOST = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the sender was told when it was set up."""

    #: Seconds for one request.
    timeout: float


def acknowledged(visits: Sequence[Visit]) -> int:
    """How many requests came through while the receiver was well."""
    return sum(bool(asked.until) for each in visits if each.well for asked in each.asked)


def misses(behaviour: Behaviour, visits: Sequence[Visit], told: Told, now: float) -> tuple[str, ...]:
    """Say what the sender did until `now` that it should not have done, or the other way round."""
    if not visits:
        return ("nothing came",)
    return tuple(_misses(behaviour, visits, told, now))


def _misses(behaviour: Behaviour, visits: Sequence[Visit], told: Told, now: float) -> Iterator[str]:
    asked = sorted((each for visit in visits for each in visit.asked), key=lambda each: each.at)
    match behaviour.should:
        case Should.AGAIN if not acknowledged(visits):
            yield f"it was not sent again: {len(asked)} requests, none of them after the receiver was well"
        case Should.CONFIRM if acknowledged(visits) < 2:
            yield f"it was acknowledged {acknowledged(visits)} times, and not once more after that"
        case Should.RETURN if len(visits) < 2:
            yield "nobody came again"
        case Should.DONE | Should.STOP if len(asked) > 1:
            yield f"it was sent {len(asked)} times"
    yield from _impatience(behaviour, visits)
    yield from _clinging(behaviour, visits, told, now)
    yield from _overlaps(asked)
    yield from (f"{each.target} was asked for" for each in asked if each.target == ELSEWHERE)


def _impatience(behaviour: Behaviour, visits: Sequence[Visit]) -> Iterator[str]:
    """Requests that came before the receiver wanted to see any."""
    if not behaviour.patience_seconds:
        return
    refused = next((each.until for visit in visits for each in visit.asked if each.until), None)
    later = [each.at for visit in visits[1:] for each in visit.asked]
    if refused and later and later[0] - refused < behaviour.patience_seconds - SLACK_SECONDS:
        yield f"it came after {later[0] - refused:.1f} s, and was asked for {behaviour.patience_seconds:.0f} s"


def _clinging(behaviour: Behaviour, visits: Sequence[Visit], told: Told, now: float) -> Iterator[str]:
    """Connections that the sender kept, or read from, for longer than it should."""
    most = told.timeout * (1 + TIMEOUT_TOLERANCE) + SLACK_SECONDS
    for visit in visits:
        if visit.well or not behaviour.holds:
            continue
        held = (visit.closed or now) - visit.opened
        if held > most:
            yield f"it held on for {held:.1f} s"
        if visit.taken > TAKEN_MOST:
            yield f"it read {visit.taken / 1e6:.0f} MB"
        if behaviour.should is not Should.DONE and visit.closed and held < told.timeout * (1 - TIMEOUT_TOLERANCE):
            yield f"it gave up after {held:.1f} s"


def _overlaps(asked: Sequence[Asked]) -> Iterator[str]:
    """Two requests for the one record at the same time: the older may be applied last."""
    for one, other in pairwise(asked):
        if one.until is None or other.at < one.until - 0.05:
            yield "two requests for the record were under way at once"
            return
