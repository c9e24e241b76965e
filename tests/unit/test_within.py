"""Names within a record: which of them name nothing, and where in a request that is told."""

import pytest

from retailos.declare.checks import DeclarationError
from retailos.declare.field import Field
from retailos.declare.inner import InnerArray, inner_id
from retailos.declare.resource import Resource
from retailos.declare.within import Naming
from retailos.records.table import create_table, keeper
from retailos.resources import RESOURCES

MOVED = Naming(array="fulfilments", path="lines.externalOrderLineId", target="lines", key="externalOrderLineId")
PARCELS = [{"externalFulfilmentId": "f", "lines": [{"externalOrderLineId": "2"}, "x"]}, {}]
LINE = {"externalOrderLineId": "1"}


def test_a_name_of_another_array_is_held_against_it() -> None:
    """What names an item of another array must name one that came along; where that array did not, nobody knows."""
    found = MOVED.strangers({"lines": [LINE], "fulfilments": PARCELS})
    assert [(each.path, each.code) for each in found] == [
        ("/fulfilments/0/lines/0/externalOrderLineId", "NOT_IN_RECORD")
    ]
    assert list(MOVED.strangers({"fulfilments": PARCELS})) == []
    assert list(MOVED.strangers({"lines": [{"externalOrderLineId": "2"}], "fulfilments": PARCELS})) == []


def test_what_the_database_found_is_told_where_it_was_sent() -> None:
    """A name that came is pointed at; where none did, what took the items away is, or else the record."""
    named = MOVED.told({"fulfilments": PARCELS}, "/order", ["2", "3"])
    assert [each.path for each in named] == ["/order/fulfilments/0/lines/0/externalOrderLineId"]
    [taken] = MOVED.told({"lines": [LINE]}, "/order", ["2"])
    assert (taken.path, taken.message) == (
        "/order/lines",
        "expected every externalOrderLineId that the fulfilments of this record name; send fulfilments with it",
    )
    assert [each.path for each in MOVED.told({}, "", ["2"])] == [""]


def test_each_naming_has_a_trigger() -> None:
    """The names of one array in another are declared with the array, and kept by a trigger whose name tells which."""
    order = RESOURCES["order"]
    assert MOVED in order.namings
    names = [keeper(order, each) for each in order.namings]
    assert len(set(names)) == len(names) == 5
    assert all(len(name) <= 63 and f"create trigger {name} after" in create_table(order) for name in names)


def test_a_name_leads_to_an_array_that_is_declared() -> None:
    """A mistake in the name of the other array is an error when the resource is declared."""
    members = (inner_id("externalPartId"), inner_id("externalItemId", required=False))
    parts = InnerArray(key="externalPartId", members=members, most=3, names=(("externalItemId", "itmes"),))
    fields = (Field(name="parts", kind=parts), Field(name="items", kind=InnerArray(key="x", members=(), most=3)))
    with pytest.raises(DeclarationError, match="got itmes; did you mean items"):
        Resource(name="box", plural="boxes", domain="org", members=fields)
