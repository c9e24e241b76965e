"""Structured JSON: how deep, how large and of what members it may be, and where in it a problem is."""

from decimal import Decimal
from random import Random
from types import MappingProxyType
from typing import Any

import pytest

from retailos.declare.kind import Kind
from retailos.declare.shapes import FREE_JSON_BYTES, FREE_JSON_DEPTH, FreeJson, ListOf, Shape, TextOr, escaped
from retailos.declare.texts import Text
from retailos.declare.values import Boolean, Number
from retailos.errors import Problem

TEXT = Text(3, like=("abc",))
ANY, OBJECT = FreeJson(), FreeJson(object_only=True)
ANYTHING: tuple[Any, ...] = (None, True, 0, Decimal("1.5"), "", "x", [], {}, [1, [2]], {"a": {"b": []}})
SHAPE = Shape(MappingProxyType({"a": TEXT, "b": Number(0, 9)}), ("a",))
EITHER = TextOr(TEXT, SHAPE)


def read(kind: Kind, value: Any) -> tuple[Any, list[tuple[str, str]]]:
    """What a kind makes of a value, and where it has which problems."""
    problems: list[Problem] = []
    stored = kind.read(value, "/x", problems)
    return stored, [(each.path, each.code) for each in problems]


def nested(levels: int, inner: Any = 1) -> Any:
    """Objects in each other, so many."""
    for _ in range(levels):
        inner = {"a": inner}
    return inner


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *((ANY, value) for value in ANYTHING),
        *((OBJECT, value) for value in ({}, {"": 1}, {"a/b~c": "é"}, nested(FREE_JSON_DEPTH))),
        (ANY, 10**40 - 1),
        (ANY, -(10**308)),
        (ANY, Decimal("1e308")),
        (ANY, Decimal("1e-308")),
        (ANY, Decimal("0." + "1" * 40)),
        (ANY, "x" * (FREE_JSON_BYTES - 2)),
        (ListOf(Boolean(), 2), []),
        (ListOf(Boolean(), 2), [True, False]),
        (SHAPE, {"a": "x"}),
        (SHAPE, {"a": "", "b": 9}),
        (EITHER, "x"),
        (EITHER, {"a": "x"}),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_good_values_are_kept(kind: Kind, value: Any) -> None:
    """A value within its limits is stored as sent."""
    assert read(kind, value) == (value, [])


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        *((OBJECT, value, [("/x", "WRONG_TYPE")]) for value in ([], [1], "x", 1, True, "")),
        (OBJECT, nested(FREE_JSON_DEPTH + 1), [("/x" + "/a" * FREE_JSON_DEPTH, "TOO_DEEP")]),
        (ANY, [[[[[[[[[[[]]]]]]]]]]], [("/x" + "/0" * FREE_JSON_DEPTH, "TOO_DEEP")]),
        (ANY, "x" * (FREE_JSON_BYTES - 1), [("/x", "TOO_LARGE")]),
        (ANY, "é" * (FREE_JSON_BYTES // 2), [("/x", "TOO_LARGE")]),
        (ANY, {"a": ["b", "c\x00"]}, [("/x/a/1", "UNSTORABLE_TEXT")]),
        (ANY, {"a": {"b\ud800": 1}}, [("/x/a", "UNSTORABLE_TEXT")]),
        (ANY, [10**40 + 1], [("/x/0", "OUT_OF_RANGE")]),
        (ANY, -(10**40) - 1, [("/x", "OUT_OF_RANGE")]),
        (ANY, 10**309, [("/x", "OUT_OF_RANGE")]),
        (ANY, [Decimal("1e300")] * 250, [("/x", "TOO_LARGE")]),
        *(
            (ANY, Decimal(text), [("/x", "OUT_OF_RANGE")])
            for text in ("1e309", "1e-309", "0e500", "1e200000", "0." + "1" * 41)
        ),
        (ListOf(Boolean(), 2), [True] * 3, [("/x", "TOO_MANY")]),
        (ListOf(Boolean(), 2), [1, True], [("/x/0", "WRONG_TYPE")]),
        (ListOf(Boolean(), 2), [None, "x"], [("/x/0", "WRONG_TYPE"), ("/x/1", "WRONG_TYPE")]),
        (ListOf(Boolean(), 2), {"0": True}, [("/x", "WRONG_TYPE")]),
        (ListOf(SHAPE, 2), [{"a": "x"}, {}], [("/x/1/a", "REQUIRED")]),
        (SHAPE, {}, [("/x/a", "REQUIRED")]),
        (SHAPE, {"a": None}, [("/x/a", "REQUIRED")]),
        (SHAPE, {"a": "x", "c/d": 1}, [("/x/c~1d", "UNKNOWN_FIELD")]),
        (SHAPE, {"a": 1, "b": 10}, [("/x/a", "WRONG_TYPE"), ("/x/b", "OUT_OF_RANGE")]),
        (SHAPE, [], [("/x", "WRONG_TYPE")]),
        (EITHER, 1, [("/x", "WRONG_TYPE")]),
        (EITHER, "long", [("/x", "TOO_LONG")]),
        (EITHER, {"b": 1}, [("/x/a", "REQUIRED")]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_problems_are_where_they_are(kind: Kind, value: Any, expected: list[tuple[str, str]]) -> None:
    """Each problem has a pointer to the very member that it is about, and its rule."""
    assert read(kind, value)[1] == expected


def test_a_null_member_of_a_shape_is_not_there() -> None:
    """null for an optional member of a shape means that it has none."""
    assert read(SHAPE, {"a": "x", "b": None}) == ({"a": "x"}, [])


def test_keys_stand_in_pointers_as_rfc_6901_has_it() -> None:
    """A slash and a tilde in a key are escaped, and an absurdly long key is cut."""
    assert escaped("a/b~c") == "a~1b~0c"
    assert len(escaped("k" * 500)) == 100


@pytest.mark.parametrize("kind", [ANY, OBJECT, ListOf(Boolean(), 2), SHAPE, EITHER], ids=repr)
def test_structures_are_not_filtered_by(kind: Kind) -> None:
    """A list is filtered by members and items, never by a whole structure."""
    with pytest.raises(ValueError, match=r"^expected "):
        kind.parse("x")


@pytest.mark.parametrize("kind", [ANY, OBJECT, ListOf(Boolean(), 2), SHAPE, EITHER], ids=repr)
def test_samples_are_good_values(kind: Kind) -> None:
    """Whatever is made up for a kind, the kind takes."""
    assert read(kind, kind.sample(Random(3)))[1] == []
