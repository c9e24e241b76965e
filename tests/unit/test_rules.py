"""Rules over several fields, and values that follow from others."""

import pytest

from retailos.declare.derived import Difference
from retailos.declare.rules import AtMostOne, Later, Together
from retailos.records.table import body_text, check, create_table, together_index
from retailos.resources import RESOURCES

TEN, ELEVEN, NEXT_DAY = "2026-11-27T10:00:00.000Z", "2026-11-27T11:00:00.000Z", "2026-11-28T10:00:00.001Z"


@pytest.mark.parametrize(
    ("begin", "end", "broken"),
    [
        (TEN, ELEVEN, False),
        (TEN, TEN, True),
        (ELEVEN, TEN, True),
        (TEN, "2026-11-28T10:00:00.000Z", False),
        (TEN, NEXT_DAY, True),
        (None, TEN, False),
        (TEN, None, False),
    ],
)
def test_an_end_comes_after_its_begin(begin: str | None, end: str | None, broken: bool) -> None:
    """A moment is later than another, and within so many hours; where one is not known, nothing is broken."""
    assert Later("endAt", "startAt", hours=24).broken({"startAt": begin, "endAt": end}) is broken


def test_a_rule_points_at_what_breaks_it() -> None:
    """The problem of a rule says what was expected and of which fields."""
    later, one = Later("endAt", "startAt", hours=24).problem(""), AtMostOne(("storeId", "regionId")).problem("/price")
    assert (later.path, later.message) == ("/endAt", "expected a moment after startAt and at most 24 hours")
    assert (one.path, one.message) == ("/price", "expected at most one of storeId, regionId; null clears the others")
    together = Together(("customerId",), where=("role", "primary")).problem("")
    assert together.message == "expected a customerId that no other record has among those whose role is primary"


def test_the_database_keeps_the_rules() -> None:
    """Each rule is a constraint of the table or an index, by whose name the database says what was broken."""
    price = RESOURCES["price"]
    made = create_table(price)
    for rule in price.rules:
        assert f"constraint {check(price, rule)} check ({rule.check(body_text)})" in made
    for together in price.together:
        name = together_index(price, together)
        assert len(name) <= 63
        assert f"create unique index {name} on prices (variant_id, currency, store_id" in made
    assert "interval '24 hours'" in Later("endAt", "startAt", hours=24).check(body_text)


def test_what_follows_from_others_is_known_where_they_are() -> None:
    """A difference is known where all that it is made of was sent, and never guessed from a part."""
    available = Difference(("onHand", "reserved", "safetyStock"))
    assert available.value({"onHand": 12, "reserved": 2, "safetyStock": 1}) == 9
    assert available.value({"onHand": 12, "reserved": 2}) is None
