"""Where a rule leaves room for one record only, a merge keeps the survivor's, and what becomes of the other is said."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from retailos.database.embedded import Cluster
from retailos.database.pool import Connection
from retailos.declare.field import CREATED_AT, DETAILS, UPDATED_AT, Field, Reference, text
from retailos.declare.resource import Resource, Resources
from retailos.declare.rules import Together
from retailos.declare.values import Uuid
from retailos.receiver import Receiver
from retailos.records.table import create_table
from retailos.resources import RESOURCES
from retailos.settings import Settings
from tests.conftest import with_database
from tests.contract.conftest import Api, check_envelope, codes, ground, least, serving
from tests.contract.delivering import settled, webhook, working
from tests.contract.test_merge import made, merged

#: A seat by whose rules a record may find no room though it yields; what is numbered as nobody else's may be merged.
SEAT = Resource(
    name="seat",
    plural="seats",
    domain="scv",
    members=(
        Reference(name="customer", to="customer"),
        text("row", 10, "A"),
        text("rank", 10, "first"),
        DETAILS,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalSeatId"),
    together=(Together(("customerId", "row", "rank")), Together(("customerId",), ("rank", "first"), yields="second")),
)
MEMBER = Resource(
    name="member",
    plural="members",
    domain="scv",
    members=(
        text("club", 10, "Circle"),
        text("number", 10, "1"),
        DETAILS,
        CREATED_AT,
        UPDATED_AT,
        Field(name="mergedIntoId", kind=Uuid(), read_only=True, at="merged_into_id"),
    ),
    mergeable=True,
    together=(Together(("club", "number")),),
)
DECLARED = Resources((*RESOURCES.values(), SEAT, MEMBER))
#: Each rule of a real resource by which records that referred to two customers may be one too many.
RULES = [
    (resource, rule, reference)
    for resource in RESOURCES.values()
    for rule in resource.together
    for reference in resource.references
    if reference.id_field.name in rule.fields and RESOURCES[reference.to].mergeable
]


@pytest.fixture(scope="module")
async def shop(
    settings: Settings, server: Cluster, administrator: Connection, template: str, numbers: Iterator[int]
) -> AsyncIterator[Api]:
    """The API of an installation that has seats and members too."""
    name = f"seats_{next(numbers)}"
    await administrator.execute(f"create database {name} template {template} strategy wal_log")
    url = with_database(server.url, name)
    connection = await asyncpg.connect(url)
    await connection.execute(create_table(SEAT) + create_table(MEMBER))
    await connection.close()
    try:
        async with serving(settings, url, DECLARED) as running:
            yield running
    finally:
        await administrator.execute(f"drop database {name} with (force)")


async def users(api: Api, number: int, count: int = 2) -> list[dict[str, Any]]:
    """Make associates; give how each is named."""
    for i in range(count):
        who = {"firstName": "A", "lastName": "B", "username": f"room-{number}-{i}"}
        assert (await api.put(f"/users/room-{number}-{i}", who)).status == 200
    return [{"externalUserId": f"room-{number}-{i}"} for i in range(count)]


async def assigned(api: Api, key: str, customer: str, user: dict[str, Any], role: str = "secondary") -> None:
    """Put a customer into an associate's client book."""
    body = {"customerId": customer, "user": user, "role": role}
    answer = await api.put(f"/customer-assignments/{key}", body)
    assert answer.status == 200, answer.body


async def assignment(api: Api, key: str) -> tuple[Any, ...]:
    """Whose assignment it is, its role, its version, and whether it lives."""
    found = (await api.get(f"/customer-assignments/external/{key}?includeDeleted=true")).result
    return found["customerId"], found["role"], found["version"], found["deletedAt"] is None


async def test_an_associate_has_the_survivor_once(shop: Api, number: int) -> None:
    """Where both are in one associate's client book the survivor's entry stays; the other goes, and that is told."""
    survivor, loser = await made(shop, f"o-{number}"), await made(shop, f"p-{number}")
    [one, other] = await users(shop, number)
    await assigned(shop, f"kept-{number}", survivor, one)
    await assigned(shop, f"gone-{number}", loser, one)
    await assigned(shop, f"led-{number}", loser, other)
    count = (await shop.get("/customer-assignments?limit=0")).result["count"]
    since = (await shop.get("/changes?since=now")).result["nextCursor"]
    async with Receiver.listen() as receiver, working(shop):
        order = await webhook(shop, receiver, "customerAssignment", name=f"books-{number}")
        preview = (await merged(shop, survivor, loser, query="?dryRun=true")).result
        assert await assignment(shop, f"gone-{number}") == (loser, "secondary", 1, True)
        result = check_envelope(await merged(shop, survivor, loser), 200)["result"]
        for key in ("gone", "led"):
            await settled(shop, order, f"{key}-{number}")
        told = {each.path.rpartition("/")[2]: each for each in receiver.received}
    for each in (preview, result):
        assert (each["repointed"]["customerAssignment"], each["deleted"], each["yielded"]) == (
            *(2, {"customerAssignment": 1}, {}),
        )
    assert await assignment(shop, f"kept-{number}") == (survivor, "secondary", 1, True)
    assert await assignment(shop, f"gone-{number}") == (survivor, "secondary", 2, False)
    assert await assignment(shop, f"led-{number}") == (survivor, "secondary", 2, True)
    rows = (await shop.get(f"/changes?since={since}&resources=customerAssignment")).result["rows"]
    assert {row["externalId"]: (row["operation"], row["version"]) for row in rows} == {
        f"gone-{number}": ("delete", 2),
        f"led-{number}": ("update", 2),
    }
    assert (await shop.get("/customer-assignments?limit=0")).result["count"] == count - 1
    assert set(told) == {f"gone-{number}", f"led-{number}"}
    assert told[f"gone-{number}"].header("x-ra-change") == "deleted"
    assert told[f"gone-{number}"].json()["customerAssignment"]["deletedAt"]


async def test_one_associate_comes_first_after_a_merge(shop: Api, number: int) -> None:
    """Of two primary associates the survivor's stays so and the other's becomes secondary, in one change of each."""
    survivor, loser = await made(shop, f"o-{number}"), await made(shop, f"p-{number}")
    [one, other] = await users(shop, number)
    await assigned(shop, f"first-{number}", survivor, one, "primary")
    await assigned(shop, f"second-{number}", loser, other, "primary")
    preview = (await merged(shop, survivor, loser, query="?dryRun=true")).result
    result = check_envelope(await merged(shop, survivor, loser), 200)["result"]
    for each in (preview, result):
        assert (each["repointed"]["customerAssignment"], each["deleted"], each["yielded"]) == (
            *(1, {}, {"customerAssignment": 1}),
        )
    assert await assignment(shop, f"first-{number}") == (survivor, "primary", 1, True)
    assert await assignment(shop, f"second-{number}") == (survivor, "secondary", 2, True)


async def test_those_that_come_together_are_told_apart_by_their_order(shop: Api, number: int) -> None:
    """Where the survivor has none, that of the first of the others stays; what goes leaves its place to the next."""
    survivor, first, second = [await made(shop, f"{each}-{number}") for each in ("o", "p", "q")]
    [one, two, three] = await users(shop, number, 3)
    await assigned(shop, f"survivor-one-{number}", survivor, one)
    await assigned(shop, f"first-one-{number}", first, one, "primary")
    await assigned(shop, f"first-two-{number}", first, two)
    await assigned(shop, f"second-two-{number}", second, two)
    await assigned(shop, f"second-three-{number}", second, three, "primary")
    assert (await merged(shop, survivor, second, first)).status == 200
    assert await assignment(shop, f"survivor-one-{number}") == (survivor, "secondary", 1, True)
    assert await assignment(shop, f"first-one-{number}") == (survivor, "primary", 2, False)
    assert await assignment(shop, f"first-two-{number}") == (survivor, "secondary", 2, False)
    assert await assignment(shop, f"second-two-{number}") == (survivor, "secondary", 2, True)
    assert await assignment(shop, f"second-three-{number}") == (survivor, "primary", 2, True)


async def test_what_is_deleted_is_in_nobody_s_way(shop: Api, number: int) -> None:
    """A tombstone of the survivor's leaves room, and one of a loser's stays what it is."""
    survivor, loser = await made(shop, f"o-{number}"), await made(shop, f"p-{number}")
    [one, other] = await users(shop, number)
    for key, customer, user in (("a", survivor, one), ("b", loser, one), ("c", survivor, other), ("d", loser, other)):
        await assigned(shop, f"{key}-{number}", customer, user)
    for key in ("a", "d"):
        await shop.request("DELETE", f"/v2/public/customer-assignments/external/{key}-{number}")
    assert (await merged(shop, survivor, loser)).result["deleted"] == {}
    assert await assignment(shop, f"b-{number}") == (survivor, "secondary", 2, True)
    assert await assignment(shop, f"c-{number}") == (survivor, "secondary", 1, True)
    assert await assignment(shop, f"d-{number}") == (survivor, "secondary", 3, False)


@pytest.mark.parametrize(
    ("resource", "rule", "reference"), RULES, ids=[f"{each.name}-{'-'.join(rule.fields)}" for each, rule, _ in RULES]
)
async def test_every_rule_is_kept_by_a_merge(
    shop: Api, numbers: Iterator[int], resource: Resource, rule: Together, reference: Reference
) -> None:
    """Whatever resource and rule: of two records that come together one stays, the other yields or goes."""
    pair = [next(numbers), next(numbers)]
    await ground(shop, resource, *pair)
    bodies = [least(resource, each) | ({rule.where[0]: rule.where[1]} if rule.where else {}) for each in pair]
    shared = {each.id_field.name: each.name for each in resource.references if each is not reference}
    for name in rule.fields:
        field = shared.get(name, name)
        if field in bodies[0]:
            bodies[1][field] = bodies[0][field]
    for each, body in zip(pair, bodies, strict=True):
        assert (await shop.put(f"/{resource.collection}/room-{each}", body)).status == 200
    target = RESOURCES[reference.to]
    ids = [(await shop.get(f"/{target.collection}/external/ground-{each}")).result["id"] for each in pair]
    answer = await shop.post(f"/{target.collection}/{ids[0]}/merge", {"from": ids[1:]})
    assert answer.status == 200, answer.body
    path = f"/{resource.collection}/external/room-{{}}?includeDeleted=true"
    [kept, other] = [(await shop.get(path.format(each))).result for each in pair]
    assert (kept["version"], other[reference.id_field.name]) == (1, ids[0])
    if rule.where and rule.yields:
        assert (other[rule.where[0]], other["deletedAt"]) == (rule.yields, None)
    else:
        assert other["deletedAt"]


async def test_who_becomes_primary_meanwhile_is_in_no_merge_s_way(shop: Api, numbers: Iterator[int]) -> None:
    """Roles that change while customers are merged end with one primary at most, and no merge is refused."""
    for _ in range(6):
        number = next(numbers)
        survivor, loser = await made(shop, f"o-{number}"), await made(shop, f"p-{number}")
        [one, other] = await users(shop, number)
        await assigned(shop, f"a-{number}", survivor, one)
        await assigned(shop, f"b-{number}", loser, other)
        path = "/v2/public/customer-assignments/external"
        a, b, done = await asyncio.gather(
            shop.request("PATCH", f"{path}/a-{number}", json={"role": "primary"}),
            shop.request("PATCH", f"{path}/b-{number}", json={"role": "primary"}),
            merged(shop, survivor, loser),
        )
        assert done.status == 200, done.body
        assert {a.status, b.status} <= {200, 409}
        roles = [(await assignment(shop, f"{key}-{number}"))[:2] for key in ("a", "b")]
        assert {each[0] for each in roles} == {survivor}
        assert [each[1] for each in roles].count("primary") == 1


async def test_what_finds_no_room_refuses_the_merge(shop: Api, number: int) -> None:
    """Where a record has no room even if it yields, the merge is refused with the rule, and nothing is written."""
    survivor, loser = await made(shop, f"o-{number}"), await made(shop, f"p-{number}")
    for key, customer, row, rank in (
        *(("a", survivor, "A", "first"), ("b", survivor, "B", "second")),
        ("c", loser, "B", "first"),
    ):
        body = {"customerId": customer, "row": row, "rank": rank}
        assert (await shop.put(f"/seats/{key}-{number}", body)).status == 200
    before = await shop.stored()
    for query in ("?dryRun=true", ""):
        refused = await merged(shop, survivor, loser, query=query)
        assert check_envelope(refused, 409)["error"]["code"] == "NOT_MERGEABLE"
        assert codes(refused) == [("/from", "NOT_UNIQUE")]
        message = refused.error["details"]["errors"][0]["message"]
        assert message == "Seat: expected a combination of customerId, row, rank that no other record has"
    assert await shop.stored() == before
    assert (await shop.get(f"/customers/external/p-{number}")).status == 200


async def test_a_survivor_that_would_be_as_another_is_refused(shop: Api, number: int) -> None:
    """What is taken from others may be so together only once; else the merge is refused, and another choice helps."""
    bodies = {"s": {"club": "A"}, "l": {"club": "B", "number": f"{number}"}, "t": {"club": "A", "number": f"{number}"}}
    ids = {}
    for key, body in bodies.items():
        answer = await shop.put(f"/members/{key}-{number}", body)
        ids[key] = answer.result[0]["resourceId"]
    refused = await shop.post(f"/members/{ids['s']}/merge", {"from": [ids["l"]]})
    assert check_envelope(refused, 409)["error"]["code"] == "NOT_MERGEABLE"
    assert codes(refused) == [("/fields", "NOT_UNIQUE")]
    chosen = {"from": [ids["l"]], "fields": {"club": ids["l"]}}
    assert (await shop.post(f"/members/{ids['s']}/merge", chosen)).result["record"]["club"] == "B"
