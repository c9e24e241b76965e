"""Which deliveries an operator means, as it is said and kept."""

from datetime import UTC, datetime, timedelta

from retailos.deliveries.selection import Selection

BEGAN = datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_what_is_not_said_stands_for_any() -> None:
    """Without a word it is every failed delivery."""
    assert Selection.of({}) == Selection(status="failed")


def test_what_fails_later_is_none_of_it() -> None:
    """An operation is about what had failed when it began, or before an earlier moment that was named."""
    assert Selection().until_began(BEGAN) == BEGAN + timedelta(milliseconds=1)
    early = Selection.of({"until": "2026-11-28T11:00:00Z"})
    assert early.until_began(BEGAN) == BEGAN - timedelta(hours=1)
    late = Selection.of({"until": "2026-11-28T13:00:00Z"})
    assert late.until_began(BEGAN) == BEGAN + timedelta(milliseconds=1)
