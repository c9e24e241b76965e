"""A query string becomes a checked Query, or an error that lists everything wrong with it."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from retailos.declare.texts import Text
from retailos.errors import OffsetTooLarge, UnknownParameter, ValidationFailed
from retailos.records import query
from retailos.records.query import PARAMETERS_MOST, VALUES_MOST, Filter, Near, Query, filterable, parameters, sortable
from retailos.resources import RESOURCES


def read(text: str, resource: str = "customer") -> Query:
    """Read a query string of a list."""
    return query.read(RESOURCES, RESOURCES[resource], text.encode("latin-1"))


def problems(text: str, resource: str = "customer") -> list[tuple[str, str]]:
    """Which parameters of a query have which problems."""
    with pytest.raises(ValidationFailed) as caught:
        read(text, resource)
    return [(each.path, each.code) for each in caught.value.problems]


def test_nothing_asked_is_a_page_of_fifty() -> None:
    """Unasked, a list shows fifty whole records with their count, in any order."""
    asked = read("")
    assert (asked.limit, asked.offset, asked.sort, asked.filters, asked.q, asked.near) == (50, 0, (), (), None, None)
    assert (asked.with_count, asked.include_deleted) == (True, False)
    assert [each.name for each in asked.show] == list(RESOURCES["customer"].fields)


def test_the_guides_own_query_is_understood() -> None:
    """The guide's list request means three customers, the latest first, seven fields of each."""
    fields = "id,externalCustomerId,firstName,lastName,email,createdAt,updatedAt"
    asked = read(f"limit=3&sort=-updatedAt&fields={fields}")
    assert (asked.limit, asked.sort) == (3, (("updatedAt", True),))
    assert ",".join(each.name for each in asked.show) == fields


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("email=Ada%40X.com", Filter("email", "eq", "Ada@X.com")),
        ("email=a+b", Filter("email", "eq", "a b")),
        ("telephone=%2B44%20(0)20", Filter("telephone", "eq", "44020")),
        ("dob[gte]=09/06/1990", Filter("dob", "gte", date(1990, 6, 9))),
        ("smsMarketing=true", Filter("smsMarketing", "eq", True)),
        ("lastName[startsWith]=Do", Filter("lastName", "startsWith", "Do")),
        ("lastName[in]=a,b", Filter("lastName", "in", ["a", "b"])),
        ("lastName[in]=", Filter("lastName", "in", [""])),
        (r"lastName[in]=a\,b,c\\,\d\,,", Filter("lastName", "in", ["a,b", "c\\", r"\d,", ""])),
        ("lastName[in]=a\\", Filter("lastName", "in", ["a\\"])),
        (r"lastName=a\,b", Filter("lastName", "eq", r"a\,b")),
        ("lastName[isNull]=false", Filter("lastName", "isNull", False)),
        ("updatedAt[lt]=2026-01-01T00:00:00Z", Filter("updatedAt", "lt", datetime(2026, 1, 1, tzinfo=UTC))),
        ("registeredAt.externalStoreId[ne]=s-1", Filter("registeredAt.externalStoreId", "ne", "s-1")),
        ("address.postCode=SE1%208NW", Filter("address.postCode", "eq", "SE1 8NW")),
    ],
)
def test_filters_are_read_as_values_of_their_fields(text: str, expected: Filter) -> None:
    """A filter's text becomes a value of the field's kind, its operator one of ours."""
    assert read(text).filters == (expected,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("limit=501", [("limit", "OUT_OF_RANGE")]),
        ("limit=-1&offset=x", [("limit", "OUT_OF_RANGE"), ("offset", "OUT_OF_RANGE")]),
        ("sort=id,-id", [("sort", "REPEATED")]),
        ("sort=details", [("sort", "NOT_SORTABLE")]),
        ("fields=id,x", [("fields", "UNKNOWN_FIELD")]),
        ("expand=details", [("expand", "UNKNOWN_FIELD")]),
        ("withCount=yes", [("withCount", "WRONG_TYPE")]),
        ("dob=1990-06-09", [("dob", "INVALID_VALUE")]),
        ("dob[startsWith]=1", [("dob[startsWith]", "INVALID_VALUE")]),
        ("smsMarketing[gt]=true", [("smsMarketing[gt]", "INVALID_VALUE")]),
        ("registeredAt.externalStoreId[gt]=s", [("registeredAt.externalStoreId[gt]", "INVALID_VALUE")]),
        ("registeredAt.externalStoreId[startsWith]=s", [("registeredAt.externalStoreId[startsWith]", "INVALID_VALUE")]),
        ("telephone=abc", [("telephone", "INVALID_VALUE")]),
        ("telephone=", [("telephone", "INVALID_VALUE")]),
        ("telephone[ne]=00", [("telephone[ne]", "INVALID_VALUE")]),
        ("telephone[in]=44,abc", [("telephone[in]", "INVALID_VALUE")]),
        ("telephone[startsWith]=%2B", [("telephone[startsWith]", "INVALID_VALUE")]),
        ("lastName[in]=" + "," * VALUES_MOST, [("lastName[in]", "INVALID_VALUE")]),
        ("details=x", [("details", "UNKNOWN_PARAMETER")]),
        ("lastName[like]=x", [("lastName[like]", "UNKNOWN_PARAMETER")]),
        ("preferredStore.externalStoreId=x", [("preferredStore.externalStoreId", "UNKNOWN_PARAMETER")]),
        ("near=1,2,3", [("near", "UNKNOWN_PARAMETER")]),
        ("lastName=a&lastName=b", [("", "REPEATED")]),
        ("a=%FF", [("", "INVALID_QUERY")]),
        ("a=\xe9", [("", "INVALID_QUERY")]),
        ("a=%00", [("", "UNSTORABLE_TEXT")]),
        ("&".join(f"a{i}=1" for i in range(PARAMETERS_MOST + 1)), [("", "TOO_MANY")]),
    ],
    ids=lambda each: str(each)[:40],
)
def test_what_makes_no_sense_is_refused(text: str, expected: list[tuple[str, str]]) -> None:
    """A parameter that is unknown, of another kind or beyond its limit is a problem with its name."""
    assert problems(text) == expected


def test_unknown_parameters_have_their_own_code() -> None:
    """Where any parameter is unknown the error says so, and lists the other problems behind."""
    with pytest.raises(UnknownParameter) as caught:
        read("limit=x&lastNmae=y")
    assert [each.path for each in caught.value.problems] == ["lastNmae", "limit"]
    assert "did you mean lastName?" in caught.value.problems[0].message


def test_a_large_offset_has_its_own_code() -> None:
    """Beyond the largest offset the error says how to go on."""
    assert read("offset=10000").offset == 10_000
    with pytest.raises(OffsetTooLarge, match="10000"):
        read("offset=10001")


def test_a_place_is_three_numbers() -> None:
    """`near` is a latitude, a longitude and kilometres, for resources that are places."""
    assert read("near=51.5,-0.12,10", "store").near == Near(Decimal("51.5"), Decimal("-0.12"), Decimal(10))
    for wrong in ("", "51.5,-0.12", "91,0,1", "0,0,0", "NaN,0,1", "0,0,1,2"):
        assert problems(f"near={wrong}", "store") == [("near", "INVALID_VALUE")]


def test_a_whole_number_is_asked_for_by_one() -> None:
    """No record has half a piece in stock, so asking for that is a mistake; a whole one may be written with a point."""
    assert read("available[gte]=2.0", "stockLevel").filters[0].value == 2
    for wrong in ("0.5", "1e1", ""):
        assert problems(f"available={wrong}", "stockLevel") == [("available", "INVALID_VALUE")]


def test_expanded_references_are_shown_in_their_places() -> None:
    """Objects of references stand in the entity's order, among the fields that were asked for or among all."""
    shown = [each.name for each in read("expand=territory,registeredBy&fields=updatedAt,id").show]
    assert shown == ["id", "registeredBy", "territory", "updatedAt"]
    everything = [each.name for each in read("expand=region").show]
    assert everything.index("region") == everything.index("regionId") + 1


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)
def test_values_with_commas_are_named_in_every_field_of_text(resource: Any) -> None:
    """Where a value can hold a comma, several of them can be asked for, each as it is."""
    values = ["1,2", "3\\", r"\,4"]
    text = ",".join(each.replace("\\", "\\\\").replace(",", "\\,") for each in values)
    for path, kind in filterable(RESOURCES, resource).items():
        if isinstance(kind, Text):
            expected = [kind.parse(each) for each in values]
            assert read(f"{path}[in]={text}", resource.name).filters == (Filter(path, "in", expected),)


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)
def test_what_can_be_sorted_and_filtered_by_is_in_an_index_or_declared(resource: Any) -> None:
    """Every list can be sorted and filtered by ids and moments, and by what the declaration says."""
    common = {"id", resource.external_id.name, "createdAt", "updatedAt"}
    assert common <= set(sortable(resource)) <= common | set(resource.columns)
    known = filterable(RESOURCES, resource)
    assert common | set(resource.columns) | set(resource.filters) <= set(known)
    related = {path.partition(".")[0] for path in known} & set(resource.reference)
    assert related == {each.name for each in resource.references if each.id_field.name in resource.columns}


def test_parameters_are_decoded_once() -> None:
    """A query is percent-decoded once, names too, and a value may hold anything but what can't be stored."""
    assert parameters(b"a%5Bgt%5D=%2525&b=&c=x%3Dy%26z") == {"a[gt]": "%25", "b": "", "c": "x=y&z"}
    assert parameters(b"") == {}
