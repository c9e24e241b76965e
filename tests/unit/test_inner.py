"""Arrays of objects within a record: what of an item is kept, and what is wrong with which."""

from random import Random
from typing import Any

import pytest

from retailos.declare.checks import DeclarationError
from retailos.declare.field import DETAILS, Field, Reference, text
from retailos.declare.finders import Item
from retailos.declare.inner import InnerArray, inner_id
from retailos.declare.resource import Resource, Resources
from retailos.declare.values import Number
from retailos.errors import Problem
from retailos.resources import RESOURCES

PART = Reference(name="part", to="thing")
ITEMS = InnerArray(
    key="externalItemId",
    members=(
        inner_id("externalItemId"),
        PART,
        text("name", 5, required=True),
        Field(name="count", kind=Number(1, 9), default=1, nullable=False),
        Field(name="seen", kind=Number(0, 9), default=0, read_only=True),
        DETAILS,
    ),
    least=1,
    most=3,
)
NOTES = InnerArray(key="externalNoteId", members=(inner_id("externalNoteId", required=False), PART), most=3)
GOOD = {"externalItemId": "a", "name": "x"}


def read(array: InnerArray, value: Any) -> tuple[Any, list[tuple[str, str]]]:
    """What an array makes of a value, and where it has which problems."""
    problems: list[Problem] = []
    return array.read(value, "/items", problems), [(each.path, each.code) for each in problems]


def test_an_item_is_kept_without_what_says_nothing() -> None:
    """Nulls, defaults, ids and what the server derives are not stored, so that an item that was read is the same."""
    shown = GOOD | {"id": "x", "count": 1, "seen": 5, "details": {}, "part": {"externalThingId": "t"}, "partId": None}
    assert read(ITEMS, [shown]) == ([GOOD], [])
    assert read(ITEMS, [GOOD | {"count": 2}]) == ([GOOD | {"count": 2}], [])


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        (None, [("", "WRONG_TYPE")]),
        ({}, [("", "WRONG_TYPE")]),
        ([], [("", "TOO_FEW")]),
        ([GOOD] * 4, [("", "TOO_MANY")]),
        ([[]], [("/0", "WRONG_TYPE")]),
        ([GOOD, GOOD], [("/1/externalItemId", "DUPLICATE")]),
        ([{}], [("/0/externalItemId", "REQUIRED"), ("/0/name", "REQUIRED")]),
        ([GOOD | {"name": None, "x/y": 1}], [("/0/x~1y", "UNKNOWN_FIELD"), ("/0/name", "REQUIRED")]),
        (
            [GOOD | {"count": "2", "externalItemId": []}],
            [("/0/count", "WRONG_TYPE"), ("/0/externalItemId", "WRONG_TYPE")],
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_with_its_place(value: Any, problems: list[tuple[str, str]]) -> None:
    """Every problem of every item is found in one go."""
    found = read(ITEMS, value)[1]
    assert sorted(found) == sorted((f"/items{at}", code) for at, code in problems)


def test_items_without_external_ids_may_be_alike() -> None:
    """Where the external id may be left out, items without one are told apart by their places."""
    assert read(NOTES, [{}, {}, {"externalNoteId": "a"}])[1] == []
    assert read(NOTES, [{"externalNoteId": "a"}, {"externalNoteId": "a"}])[1] == [
        ("/items/1/externalNoteId", "DUPLICATE")
    ]


@pytest.mark.parametrize("name", ["order", "basket", "wishlist"])
def test_items_of_samples_are_numbered_and_named(name: str) -> None:
    """A sample's items have external ids, one each, and what names an item of another array names the first."""
    for kind in RESOURCES[name].inner.values():
        made = kind.sample(Random(1))
        assert [each[kind.key] for each in made] == [str(i) for i in range(1, len(made) + 1)]
        for path, _ in kind.names:
            first, _, rest = path.partition(".")
            assert (made[0][first][0][rest] if rest else made[0][first]) == "1"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("itmes.name", "got itmes; did you mean items?"),
        ("items.nmae", "got nmae; did you mean name?"),
    ],
)
def test_a_finder_within_items_must_lead_to_a_member(path: str, message: str) -> None:
    """A mistake in the path of such a parameter is an error when the resource is declared."""
    members = (Field(name="items", kind=ITEMS),)
    with pytest.raises(DeclarationError) as caught:
        Resource(name="box", plural="boxes", domain="org", members=members, finders=(Item("sku", path),))
    assert message in str(caught.value)


def test_the_references_of_items_lead_to_resources() -> None:
    """An item that refers to what is not declared is refused as a record that does so is."""
    box = Resource(name="box", plural="boxes", domain="org", members=(Field(name="items", kind=ITEMS),))
    with pytest.raises(DeclarationError, match="expected a known name, got thing"):
        Resources([box])
