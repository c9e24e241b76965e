"""The story of one delivery in order, made of rows: what changed, was attempted and was held, and how it stands."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from retailos.deliveries.outcome import Why

_MOMENT: Final = "%Y-%m-%d %H:%M:%S"
_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        Why.FILTERED: "it is none of the records that the webhook is told of",
        Why.UNCHANGED: "all that the webhook watches is as its receiver was told",
        Why.ECHO: "it came from the receiver's own system",
    }
)
_TIMES: Final = ("", "once", "twice", "three times", "four times", "five times", "six times")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of the record: its version, what was done, and who did it."""

    at: datetime
    version: int
    operation: str
    request_id: UUID | None
    api_key_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """An attempt: the version that was sent, and the status that came, or why none did."""

    at: datetime
    version: int
    request_id: UUID
    status: int | None
    error_class: str | None
    again: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A time at which the webhook's breaker held what it was owed, and that is over."""

    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the delivery stands, and since when its webhook's breaker holds what it is owed."""

    at: datetime
    status: str
    wanted: int
    acknowledged: int
    due_at: datetime | None
    held_since: datetime | None
    #: Why nothing was sent, where it was skipped, as far as that was kept.
    skipped_why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A sentence of the story: when, what, of which version, and the request that it happened in."""

    at: datetime
    text: str
    version: int
    request_id: UUID | None = None


def told(
    changes: Sequence[Change], attempts: Sequence[Tried], standing: Standing | None, held: Sequence[Held] = ()
) -> list[Line]:
    """Tell the story, oldest first: changes that came before the one before was told have joined it.

    The record was `held` where something was to be told of it when the breaker opened, or came before it closed.
    """
    happened: list[Change | Tried | Held] = sorted([*held, *changes, *attempts], key=lambda each: each.at)
    lines: list[Line] = []
    open_version, newest, i = 0, 0, 0
    holding: Held | None = None
    while i < len(happened):
        each, same = happened[i], 1
        if isinstance(each, Tried):
            same = _alike(happened, i)
            lines.append(_tried(each, same))
            open_version = 0 if each.error_class is None else open_version
        elif isinstance(each, Change):
            lines.append(_changed(each, open_version))
            open_version, newest = open_version or each.version, each.version
        else:
            holding = each
        if holding and open_version and not isinstance(each, Tried):
            if each.at < holding.until:
                lines.append(_held(holding, each.at, newest))
            holding = None
        i += same
    return lines if standing is None else [*lines, *_stands(standing)]


def _held(held: Held, since: datetime, version: int) -> Line:
    return Line(at=since, text=f"v{version}: held by the breaker until {held.until:{_MOMENT}} UTC", version=version)


def _changed(change: Change, open_version: int) -> Line:
    by = f" by key {change.api_key_id}" if change.api_key_id else ""
    joined = f"; it joined v{open_version}" if open_version else ""
    text = f"v{change.version}: {change.operation}{by}{joined}"
    return Line(at=change.at, text=text, version=change.version, request_id=change.request_id)


def _alike(happened: Sequence[Change | Tried | Held], first: int) -> int:
    """How many attempts in a row came to the same."""
    count = 0
    for each in happened[first:]:
        one = happened[first]
        if not (isinstance(each, Tried) and isinstance(one, Tried) and _came_to(each) == _came_to(one)):
            break
        count += 1
        if each.error_class is None:
            break
    return count


def _came_to(tried: Tried) -> tuple[object, ...]:
    return tried.version, tried.status, tried.error_class


def _tried(tried: Tried, count: int) -> Line:
    if tried.error_class is None:
        text = f"v{tried.version}: {'confirmed' if tried.again else 'delivered'}"
    else:
        times = _TIMES[count] if count < len(_TIMES) else f"{count} times"
        text = f"v{tried.version}: {tried.status or tried.error_class} {times}"
    return Line(at=tried.at, text=text, version=tried.version, request_id=tried.request_id)


def _stands(standing: Standing) -> Iterator[Line]:
    version, status = standing.wanted, standing.status
    if status == "delivered":
        return
    if status == "skipped":
        reason = _REASONS.get(standing.skipped_why or "", "the webhook is not to be told of it")
        yield Line(at=standing.at, text=f"v{version}: not sent: {reason}", version=version)
        return
    if standing.held_since is not None and status != "failed":
        yield Line(at=standing.held_since, text=f"v{version}: held by the breaker", version=version)
        return
    next_at = f", next at {standing.due_at:{_MOMENT}} UTC" if status == "retrying" and standing.due_at else ""
    yield Line(at=standing.at, text=f"v{version}: {status}{next_at}", version=version)
