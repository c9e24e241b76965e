"""Lists: what they hold, how they are counted, sorted, cut and filtered, compared with the same done in Python."""

import re
from datetime import date
from decimal import Decimal
from math import asin, cos, radians, sin, sqrt
from typing import Any
from urllib.parse import quote

import pytest

from retailos.declare.finders import During, Item, Through
from retailos.declare.kind import Kind
from retailos.declare.money import Money
from retailos.declare.resource import Resource
from retailos.declare.texts import Telephone, Text
from retailos.declare.values import Boolean, Dob, Number, Uuid
from retailos.records.query import filterable, sortable
from retailos.resources import RESOURCES
from tests.contract.conftest import EACH_RESOURCE, ORDER, VARIED_RESOURCES, Api, check_envelope, codes, full, own_names

Record = dict[str, Any]
MANY = 14


@pytest.fixture(scope="module")
async def stocked(shop: Api) -> dict[str, list[Record]]:
    """The records of each resource, in the order in which they were made, with what they refer to."""
    assert set(ORDER) == set(RESOURCES)
    known: dict[str, list[str]] = {name: [] for name in ORDER}
    for name in ORDER:
        resource = RESOURCES[name]
        for number in range(MANY):
            sent = full(resource, number, known)
            put = await shop.put(f"/{resource.collection}/{sent[resource.external_id.name]}", sent)
            assert put.status == 200, put.body
            known[name].append(sent[resource.external_id.name])
    for flips in (each.flips for each in RESOURCES.values() if each.flips):
        # What the flags of those before made is there too.
        rows = (await shop.get(f"/{flips.to.collection}?limit=500")).result["rows"]
        known[flips.to.name] = [each[flips.to.external_id.name] for each in rows]
    return {
        name: [(await shop.get(f"/{RESOURCES[name].collection}/{key}")).result for key in keys]
        for name, keys in known.items()
    }


async def ids(api: Api, resource: Resource, query: str) -> list[str]:
    """The ids of a list, whose count must be theirs."""
    answer = await api.get(f"/{resource.collection}?fields=id&limit=500&{query}")
    assert answer.status == 200, (query, answer.body)
    assert answer.result["count"] == len(answer.result["rows"]), query
    return [row["id"] for row in answer.result["rows"]]


def comparable(kind: Kind, value: Any) -> Any:
    """A value as lists compare it: folded text in lower case, a telephone by its digits, a date as a date."""
    if value is None or isinstance(kind, Boolean | Uuid):
        return value
    if isinstance(kind, Dob):
        day, month, year = value.split("/")
        return date(int(year), int(month), int(day))
    if isinstance(kind, Number | Money):
        return Decimal(str(value))
    if isinstance(kind, Telephone):
        return re.sub(r"[^0-9]", "", value).removeprefix("00")
    return value.lower() if isinstance(kind, Text) and kind.folded else value


def value_at(resource: Resource, stocked: dict[str, list[Record]], record: Record, path: str) -> Any:
    """What a path of the list's query leads to, for one record."""
    name, _, member = path.partition(".")
    if name not in resource.reference:
        return record[name] if not member else (record[name] or {}).get(member)
    reference = resource.reference[name]
    found = [each[member] for each in stocked[reference.to] if each["id"] == record[reference.id_field.name]]
    return found[0] if found else None


def matches(operator: str, value: Any, given: Any) -> bool:
    """Whether a value passes a filter; what is not there passes none but `ne` and `isNull`."""
    if operator == "isNull":
        return (value is None) is given
    if operator == "ne":
        return bool(value != given)
    if value is None:
        return False
    if operator == "in":
        return bool(value in given)
    if operator == "startsWith":
        return bool(value.startswith(given))
    order = (value > given) - (value < given)
    return bool({"eq": order == 0, "gt": order > 0, "gte": order >= 0, "lt": order < 0, "lte": order <= 0}[operator])


def operators(kind: Kind, related: bool) -> tuple[str, ...]:
    """The operators that a kind of value has."""
    if related or isinstance(kind, Boolean):
        return ("eq", "ne")
    ordered = ("eq", "ne", "gt", "gte", "lt", "lte")
    return (*ordered, "startsWith") if isinstance(kind, Text) else ordered


def spelled(value: Any) -> str:
    """A value as a query says it."""
    return quote(str(value).lower() if isinstance(value, bool) else str(value), safe="")


@EACH_RESOURCE
async def test_every_filter_finds_what_it_names(
    shop: Api, stocked: dict[str, list[Record]], resource: Resource
) -> None:
    """Each field that can be filtered by, with each of its operators, gives exactly the records that match."""
    records, checked = stocked[resource.name], 0
    for path, kind in filterable(RESOURCES, resource).items():
        if resource.finder(path):
            continue
        related = path.partition(".")[0] in resource.reference
        values = {record["id"]: value_at(resource, stocked, record, path) for record in records}
        known = {key: comparable(kind, value) for key, value in values.items()}
        given = list(dict.fromkeys(value for value in values.values() if value is not None))[:4]
        asked: list[tuple[str, str, Any]] = [("isNull", "true", True), ("isNull", "false", False)]
        for value in given:
            asked += [(each, spelled(value), comparable(kind, value)) for each in operators(kind, related)]
            if isinstance(kind, Text) and not related:
                asked.append(("startsWith", spelled(value[:2]), comparable(kind, value[:2])))
        asked.append(("in", ",".join(map(spelled, given[:3])), [comparable(kind, each) for each in given[:3]]))
        for operator, text, value in asked:
            if operator == "in" and not text:
                continue
            name = path if operator == "eq" else f"{path}[{operator}]"
            expected = {key for key, each in known.items() if matches(operator, each, value)}
            assert set(await ids(shop, resource, f"{name}={text}")) == expected, f"{name}={text}"
            checked += 1
    assert checked > 25


def found_by(resource: Resource, stocked: dict[str, list[Record]], record: Record, finder: Item | Through) -> set[Any]:
    """What a parameter that looks elsewhere than at a field of its name finds of one record."""
    if isinstance(finder, Item):
        array, _, member = finder.path.partition(".")
        return {each[member] if member else each for each in record[array]}
    reference = resource.reference[finder.reference]
    ids = record[reference.id_field.name]
    wanted = ids if reference.ids else [ids]
    return {each[finder.field] for each in stocked[reference.to] if each["id"] in wanted}


@pytest.mark.parametrize(
    "resource", [each for each in RESOURCES.values() if each.finders], ids=lambda resource: resource.name
)
async def test_what_a_list_looks_for_elsewhere_is_found(
    shop: Api, stocked: dict[str, list[Record]], resource: Resource
) -> None:
    """An item of an array, a field of a record that is referred to, and a moment within a time find their records."""
    records = stocked[resource.name]
    for finder in resource.finders:
        if isinstance(finder, During):
            for moment in {each[finder.begin] or each["createdAt"] for each in records}:
                expected = {
                    each["id"]
                    for each in records
                    if (each[finder.begin] or "") <= moment < (each[finder.end] or "9999")
                }
                assert set(await ids(shop, resource, f"{finder.name}={spelled(moment)}")) == expected
            continue
        known = {each["id"]: found_by(resource, stocked, each, finder) for each in records}
        values = sorted({value for found in known.values() for value in found})[:4]
        assert values
        for value in values:
            having = {key for key, found in known.items() if value in found}
            assert set(await ids(shop, resource, f"{finder.name}={spelled(value)}")) == having
            assert set(await ids(shop, resource, f"{finder.name}[ne]={spelled(value)}")) == set(known) - having
        either = {key for key, found in known.items() if found & set(values[:2])}
        assert set(await ids(shop, resource, f"{finder.name}[in]={','.join(map(spelled, values[:2]))}")) == either


@EACH_RESOURCE
async def test_every_sort_orders_as_it_says(shop: Api, stocked: dict[str, list[Record]], resource: Resource) -> None:
    """Each sortable field sorts both ways, what is missing last upwards, and the id breaks every tie."""
    for path in sortable(resource):
        kind = resource.kind_at(path)

        def place(record: Record, path: str = path, kind: Kind = kind) -> tuple[Any, ...]:
            value = comparable(kind, value_at(resource, stocked, record, path))
            return (value is None, "" if value is None else value, record["id"])

        upwards = [
            record["id"] for record in sorted(stocked[resource.name], key=lambda r: (place(r)[0], *place(r)[1:]))
        ]
        assert await ids(shop, resource, f"sort={path}") == upwards, path
        assert await ids(shop, resource, f"sort=-{path}") == upwards[::-1], path


async def test_several_sorts_apply_one_after_the_other(shop: Api, stocked: dict[str, list[Record]]) -> None:
    """The first field sorts, the next one sorts what is equal in it, each in its own direction."""
    customers = [each for each in stocked["customer"] if each["lastName"] and each["firstName"]]
    by_id = sorted(customers, key=lambda each: each["id"])
    by_first = sorted(by_id, key=lambda each: each["firstName"].lower(), reverse=True)
    expected = [each["id"] for each in sorted(by_first, key=lambda each: each["lastName"].lower())]
    query = "sort=lastName,-firstName,id&lastName[isNull]=false&firstName[isNull]=false"
    assert await ids(shop, RESOURCES["customer"], query) == expected


@VARIED_RESOURCES
async def test_a_list_shows_whole_records_and_counts_all(
    shop: Api, stocked: dict[str, list[Record]], resource: Resource
) -> None:
    """A list holds count and rows; rows are records as a GET shows them, and count is all that match, not the page."""
    answer = await shop.get(f"/{resource.collection}?limit=3&sort=id")
    envelope = check_envelope(answer, 200)
    plural = {"stockLevel": "Stock levels"}.get(resource.name, f"{resource.name.title()}s")
    assert (envelope["action"], envelope["userMessage"]) == (resource.action("GET_ALL"), plural)
    assert list(envelope["result"]) == ["count", "rows", "nextCursor", "changesCursor"]
    assert envelope["result"]["count"] == len(stocked[resource.name])
    expected = sorted(stocked[resource.name], key=lambda each: each["id"])[:3]
    assert [list(row.items()) for row in envelope["result"]["rows"]] == [list(each.items()) for each in expected]


@VARIED_RESOURCES
async def test_pages_put_together_are_the_list(shop: Api, stocked: dict[str, list[Record]], resource: Resource) -> None:
    """Page after page shows each record once, in the order of the whole list."""
    whole = await ids(shop, resource, "sort=-updatedAt")
    assert sorted(whole) == sorted(each["id"] for each in stocked[resource.name])
    pages = []
    for offset in range(0, MANY + 5, 4):
        page = (await shop.get(f"/{resource.collection}?sort=-updatedAt&limit=4&offset={offset}&fields=id")).result
        assert page["count"] == len(whole)
        pages += [row["id"] for row in page["rows"]]
    assert pages == whole


async def test_a_list_can_only_count_or_not_count(shop: Api, stocked: dict[str, list[Record]]) -> None:
    """limit=0 only counts, withCount=false does not count, with a filter and without."""
    path, one = "/customers", stocked["customer"][0]["id"]
    for query, count in (("", len(stocked["customer"])), (f"&id={one}", 1)):
        result = (await shop.get(f"{path}?limit=0{query}")).result
        assert (result["count"], result["rows"]) == (count, [])
    assert (await shop.get(f"{path}?limit=1&withCount=false")).result["count"] is None
    assert len((await shop.get(f"{path}?withCount=false&id={one}")).result["rows"]) == 1
    assert (await shop.get(f"{path}?limit=1&includeDeleted=true")).result["count"] == len(stocked["customer"])


@EACH_RESOURCE
async def test_fields_and_references_of_a_list(shop: Api, stocked: dict[str, list[Record]], resource: Resource) -> None:
    """`fields` and `expand` show the same in a list as for one record."""
    names = list(resource.reference)
    key = stocked[resource.name][-1]["id"]
    for query in (
        "fields=version,id,details",
        *([f"expand={','.join(names)}", f"fields=id,{names[0]}"] if names else []),
    ):
        one = (await shop.get(f"/{resource.collection}/{key}?{query}")).result
        [row] = (await shop.get(f"/{resource.collection}?id={key}&{query}")).result["rows"]
        assert list(row.items()) == list(one.items())
    assert own_names(resource)[:2] == ["id", resource.external_id.name]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=501", "VALIDATION_ERROR"),
        ("offset=10001", "OFFSET_TOO_LARGE"),
        ("id[in]=" + ",".join(["01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"] * 501), "URI_TOO_LONG"),
        ("email[in]=" + ",".join(["a"] * 501), "VALIDATION_ERROR"),
        ("&".join(f"x{i}=1" for i in range(51)), "VALIDATION_ERROR"),
    ],
    ids=["limit", "offset", "URL", "values", "parameters"],
)
async def test_lists_have_limits(shop: Api, query: str, code: str) -> None:
    """One beyond each limit of a list is refused, and names the limit."""
    refused = await shop.get(f"/customers?{query}")
    assert refused.error["code"] == code
    assert re.search(r"500|10000|8 KiB|50", refused.error["message"] + str(refused.error["details"]))


@pytest.mark.parametrize("query", ["limit=500", "offset=10000", "email[in]=" + ",".join(["a"] * 500)])
async def test_the_limits_themselves_are_allowed(shop: Api, query: str) -> None:
    """What stands exactly at a limit is served."""
    assert (await shop.get(f"/customers?{query}")).status == 200


async def test_unasked_a_list_shows_fifty(api: Api) -> None:
    """Without a limit a page has 50 rows."""
    for i in range(51):
        assert (await api.put(f"/clients/fifty-{i}", {"name": "Fifty"})).status == 200
    page = (await api.get("/clients?name=FIFTY")).result
    assert (page["count"], len(page["rows"])) == (51, 50)


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("lastNmae=x", "lastName"),
        ("limt=1", "limit"),
        ("email[startswith]=x", "email[startsWith]"),
        ("sort=-updatedat", "updatedAt"),
    ],
)
async def test_a_misspelt_parameter_is_told_what_was_meant(shop: Api, query: str, meant: str) -> None:
    """A mistyped filter is never ignored, for that would return every customer: the answer names the one meant."""
    refused = await shop.get(f"/customers?{query}")
    assert refused.status == 400
    assert f"did you mean {meant}?" in refused.error["details"]["errors"][0]["message"]


async def test_all_problems_of_a_query_are_told_at_once(shop: Api) -> None:
    """One answer lists everything that is wrong with a query."""
    refused = await shop.get("/customers?limit=x&sort=y&fields=z&frobnicate=1&dob=1&id=2")
    assert sorted(path for path, _ in codes(refused)) == ["dob", "fields", "frobnicate", "id", "limit", "sort"]
    assert refused.error["code"] == "UNKNOWN_PARAMETER"


async def test_search_finds_by_the_beginnings_of_words(api: Api) -> None:
    """`q` finds whom every word begins a name, an e-mail address or a telephone number of, in any case."""
    people = {
        "q1": ("Zaphod", "Beeblebrox", "zaphod@heart.example", "+44 7700 900123"),
        "q2": ("Zaphod", "Prefect", "ford@x", ""),
        "q3": ("Ford", "-", "ix@x", "unknown"),
    }
    for key, (first, last, email, telephone) in people.items():
        body = {"firstName": first, "lastName": last, "email": email, "telephone": telephone}
        assert (await api.put(f"/customers/{key}", body)).status == 200
    expected = {
        "zaphod": {"q1", "q2"},
        "ZAPH bee": {"q1"},
        "prefect zaphod": {"q2"},
        "heart": set(),
        "zaphod@heart": {"q1"},
        "447700": {"q1"},
        "zaphod 4477": {"q1"},
        "ford -": {"q3"},
        "+": set(),
        "zaphod%": set(),
        "zaphod_": set(),
    }
    for q, keys in expected.items():
        found = (await api.get(f"/customers?q={quote(q)}")).result["rows"]
        assert {row["externalCustomerId"] for row in found} == keys, q


async def test_letters_of_every_script_are_folded(api: Api) -> None:
    """A name is found in any case, whatever its letters."""
    assert (await api.put("/regions/folded", {"name": "ÎLE-DE-FRANCE Straße ΑΒΓ"})).status == 200
    for text in ("île-de-france straße αβγ", "Île-De-France STRAßE ΑΒΓ"):
        found = (await api.get(f"/regions?name={quote(text)}")).result["rows"]
        assert [row["externalRegionId"] for row in found] == ["folded"]


def kilometres(one: Record, latitude: float, longitude: float) -> float:
    """The distance of a store to a point on a globe of 6371 km."""
    here, there = radians(latitude), radians(one["latitude"])
    half = sin((there - here) / 2) ** 2
    half += cos(here) * cos(there) * sin(radians(one["longitude"] - longitude) / 2) ** 2
    return 2 * 6371 * asin(min(1, sqrt(half)))


async def test_a_list_of_words_may_be_written_either_way(shop: Api, stocked: dict[str, list[Record]]) -> None:
    """`fields=id,name` and `fields=id&fields=name` ask for the same, since clients write lists in both ways."""
    short = await shop.get("/stores?sort=name,-id&fields=id,name&limit=5")
    long = await shop.get("/stores?sort=name&sort=-id&fields=id&fields=name&limit=5")
    assert long.result["rows"] == short.result["rows"]
    assert [list(row) for row in long.result["rows"]] == [["id", "name"]] * 5


@pytest.mark.parametrize("point", [(51.5, -0.12), (0, 0), (-33.9, 151.2), (89, 10), (10, 179.9)], ids=str)
async def test_stores_are_found_near_a_point(
    shop: Api, stocked: dict[str, list[Record]], point: tuple[float, float]
) -> None:
    """`near` gives the stores within a distance of a point, round the globe."""
    placed = [each for each in stocked["store"] if each["latitude"] is not None and each["longitude"] is not None]
    assert placed
    for radius in (1, 3_000, 8_000, 15_000, 20_100):
        expected = {each["id"] for each in placed if kilometres(each, *point) <= radius}
        assert set(await ids(shop, RESOURCES["store"], f"near={point[0]},{point[1]},{radius}")) == expected
