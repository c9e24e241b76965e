"""The story of a delivery, told in order as people tell it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from retailos.deliveries.outcome import Why
from retailos.deliveries.telling import Change, Held, Standing, Tried, told

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def change(minute: int, version: int, operation: str = "update", key: str | None = "erp") -> Change:
    """A change at a minute past noon."""
    at = NOON + timedelta(minutes=minute)
    return Change(at=at, version=version, operation=operation, request_id=uuid4(), api_key_id=key)


def tried(
    minute: int, version: int, status: int | None = 200, error: str | None = None, *, again: bool = False
) -> Tried:
    """An attempt at a minute past noon."""
    at = NOON + timedelta(minutes=minute)
    return Tried(at=at, version=version, request_id=uuid4(), status=status, error_class=error, again=again)


def standing(status: str, held_since: datetime | None = None, skipped_why: str | None = None) -> Standing:
    """How it stands at one o'clock."""
    at = NOON + timedelta(hours=1)
    more: dict[str, Any] = {"due_at": at, "held_since": held_since, "skipped_why": skipped_why}
    return Standing(at=at, status=status, wanted=8, acknowledged=7, **more)


def test_an_outage_is_told_in_order() -> None:
    """Changes that came before the one before them was told have joined it; failures in a row are counted."""
    changes = [change(2, 7), change(3, 8, key=None)]
    failures = [tried(minute, 8, 503, "http_5xx") for minute in (4, 5, 6)]
    story = told(changes, [*failures, tried(7, 8, None, "timeout"), tried(31, 8), tried(33, 8, again=True)], None)
    assert [each.text for each in story] == [
        "v7: update by key erp",
        "v8: update; it joined v7",
        "v8: 503 three times",
        "v8: timeout once",
        "v8: delivered",
        "v8: confirmed",
    ]
    assert [each.at for each in story] == sorted(each.at for each in story)


def held(minute: int, until: int) -> Held:
    """A time at which the breaker was open."""
    return Held(at=NOON + timedelta(minutes=minute), until=NOON + timedelta(minutes=until))


def test_what_the_breaker_held_is_told_with_its_end() -> None:
    """What was owed when it opened was held until it closed; a probe that came to nothing stands where it was made."""
    attempts = [*(tried(minute, 1, 503, "http_5xx") for minute in (2, 3, 10)), tried(31, 1)]
    story = told([change(1, 1)], attempts, None, [held(4, 31)])
    assert [(each.at.minute, each.text) for each in story] == [
        (1, "v1: update by key erp"),
        (2, "v1: 503 twice"),
        (4, "v1: held by the breaker until 2026-11-28 12:31:00 UTC"),
        (10, "v1: 503 once"),
        (31, "v1: delivered"),
    ]


def test_only_what_was_owed_was_held() -> None:
    """A change that comes while the breaker is open is held from then on; what was delivered before it is not."""
    changes, until = [change(1, 1), change(9, 2), change(12, 3), change(40, 4)], "2026-11-28 12:31:00 UTC"
    story = told(changes, [tried(2, 1), tried(31, 3), tried(41, 4)], None, [held(4, 31), held(33, 35)])
    assert [(each.at.minute, each.text) for each in story if "held" in each.text] == [
        (9, f"v2: held by the breaker until {until}")
    ]


def test_each_time_that_it_was_held_is_told() -> None:
    """A delivery that waits through several openings was held by each."""
    story = told([change(1, 1)], [tried(10, 1, 422, "http_4xx"), tried(31, 1)], None, [held(4, 9), held(12, 31)])
    assert [each.at.minute for each in story if "held" in each.text] == [4, 12]


def test_a_change_after_a_delivery_joins_nothing() -> None:
    """What was delivered is told; the next change is one of its own."""
    story = told([change(1, 1, "create"), change(5, 2)], [tried(2, 1), tried(6, 2)], standing("delivered"))
    assert [each.text for each in story][2:] == ["v2: update by key erp", "v2: delivered"]


def test_how_it_stands_is_told_last() -> None:
    """What is not at rest ends with how it stands: held, retrying and when, failed."""
    assert [each.text for each in told([], [], standing("owed", NOON))] == ["v8: held by the breaker"]
    assert [each.text for each in told([], [], standing("retrying"))] == [
        "v8: retrying, next at 2026-11-28 13:00:00 UTC"
    ]
    assert [each.text for each in told([], [], standing("failed", NOON))] == ["v8: failed"]
    assert told([], [], standing("delivered")) == []


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        (Why.FILTERED, "it is none of the records that the webhook is told of"),
        (Why.UNCHANGED, "all that the webhook watches is as its receiver was told"),
        (Why.ECHO, "it came from the receiver's own system"),
        # An earlier version did not keep why.
        (None, "the webhook is not to be told of it"),
    ],
)
def test_why_nothing_was_sent_is_told(why: Why | None, reason: str) -> None:
    """What was skipped ends with the reason; one that was kept of a version before is not the reason of this one."""
    assert [each.text for each in told([], [], standing("skipped", skipped_why=why))] == [f"v8: not sent: {reason}"]
    assert [each.text for each in told([], [], standing("failed", skipped_why=why))] == ["v8: failed"]
