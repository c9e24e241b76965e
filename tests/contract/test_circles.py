"""Records that name each other, and so would wait for each other: with the last of them, all of them are there."""

from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Any, Final

import pytest

from retailos.receiver import Receiver
from retailos.records import parked
from retailos.records.circles import MEMBERS_MOST
from retailos.resources import RESOURCES
from tests.contract.conftest import Api, check_envelope, codes
from tests.contract.delivering import all_settled, webhook, working
from tests.contract.importing import applied, ndjson, send
from tests.contract.selling import line, order

USER: Final = {"firstName": "A", "lastName": "B"}
VISIT: Final = {"startAt": "2026-11-01T10:00:00.000Z", "endAt": "2026-11-01T11:00:00.000Z"}

#: A circle: of each record, by its resource, what it says, and to which others it refers, by the reference.
Circle = Mapping[str, tuple[Mapping[str, Any], Mapping[str, str]]]
CIRCLES: Final[Mapping[str, Circle]] = {
    "a converted basket": {
        "basket": ({"currency": "GBP", "status": "converted"}, {"order": "order"}),
        "order": (order(), {"basket": "basket"}),
    },
    "an appointment that sold": {
        "appointment": (VISIT, {"order": "order", "store": "store"}),
        "order": (order(), {"appointment": "appointment"}),
        "store": ({"name": "X"}, {}),
    },
    "a region's manager": {
        "region": ({"name": "X"}, {"manager": "user"}),
        "user": (USER, {"currentStore": "store"}),
        "store": ({"name": "X"}, {"region": "region"}),
    },
}


@pytest.fixture
def n(numbers: Iterator[int]) -> int:
    """A number for external ids that no other test uses."""
    return next(numbers)


def named(name: str, key: str) -> dict[str, str]:
    """An object that names a record."""
    return {RESOURCES[name].external_id.name: key}


def bodies(circle: Circle, key: str) -> dict[str, dict[str, Any]]:
    """The bodies of a circle whose records all have one external id, by their resources."""
    return {
        name: dict(said)
        | ({"username": f"name-{key}"} if name == "user" else {})
        | {reference: named(to, key) for reference, to in refers.items()}
        for name, (said, refers) in circle.items()
    }


async def put(api: Api, name: str, key: str, body: Any, query: str = "", **more: Any) -> Any:
    """Put one record, which is taken; its job."""
    answer = await api.put(f"/{RESOURCES[name].collection}/{key}{query}", body, **more)
    assert answer.status in (200, 202), answer.body
    return answer.result[0]


async def job(api: Api, job_id: str) -> Any:
    """A job as it stands."""
    return (await api.get(f"/jobs/{job_id}")).result


async def get(api: Api, name: str, key: str) -> Any:
    """A record by its external id."""
    return (await api.get(f"/{RESOURCES[name].collection}/{key}")).result


async def is_whole(api: Api, circle: Circle, key: str) -> None:
    """See that every record of a circle is there, once, and refers to the others."""
    shown = {name: await get(api, name, key) for name in circle}
    assert {each["version"] for each in shown.values()} == {1}
    for name, (_, refers) in circle.items():
        for reference, to in refers.items():
            assert shown[name][f"{reference}Id"] == shown[to]["id"], (name, reference)


@pytest.mark.parametrize("kind", CIRCLES)
async def test_a_circle_is_whole_with_its_last_record(shop: Api, n: int, kind: str) -> None:
    """In every order of arrival each record of a circle is made, each job is completed, and the last at once."""
    for i, sequence in enumerate(permutations(CIRCLES[kind])):
        key = f"{i}-{n}"
        sent = bodies(CIRCLES[kind], key)
        jobs = [await put(shop, name, key, sent[name]) for name in sequence]
        await is_whole(shop, CIRCLES[kind], key)
        assert (jobs[-1]["status"], jobs[-1]["outcome"], jobs[-1]["version"]) == ("completed", "created", 1)
        for each in jobs:
            done = await job(shop, each["id"])
            assert (done["status"], done["outcome"], done["unresolvedReferences"]) == ("completed", "created", [])
        assert [(await put(shop, name, key, sent[name]))["outcome"] for name in sequence] == ["unchanged"] * len(sent)


async def test_a_tree_may_be_a_part_of_a_circle(shop: Api, n: int) -> None:
    """A region below one whose manager works in a store of the lower region: whichever comes last, all are there."""
    for i, sequence in enumerate(permutations(("up", "low", "user", "store"))):
        key = f"{i}-{n}"
        sent = {
            "up": ("region", f"up-{key}", {"name": "X", "manager": named("user", key)}),
            "low": ("region", f"low-{key}", {"name": "X", "parent": named("region", f"up-{key}")}),
            "user": ("user", key, USER | {"username": f"tree-{key}", "currentStore": named("store", key)}),
            "store": ("store", key, {"name": "X", "region": named("region", f"low-{key}")}),
        }
        jobs = [await put(shop, *sent[each]) for each in sequence]
        assert {(await job(shop, each["id"]))["outcome"] for each in jobs} == {"created"}
        low, up = await get(shop, "region", f"low-{key}"), await get(shop, "region", f"up-{key}")
        assert (low["parentId"], up["managerId"]) == (up["id"], (await get(shop, "user", key))["id"])


@pytest.mark.parametrize("way", ["post", "bulk", "queue", "import"])
async def test_however_a_circle_comes_it_is_closed(shop: Api, n: int, way: str) -> None:
    """A POST, a bulk, what is queued and files close circles as well as a PUT of one record does."""
    circle, keys = CIRCLES["a converted basket"], [f"{i}-{n}" for i in range(3)]
    for name in circle:
        resource = RESOURCES[name]
        rows = [bodies(circle, key)[name] | named(name, key) for key in keys]
        if way == "import":
            done = await applied(shop, await send(shop, ndjson(rows), "ndjson", query=f"resource={name}"))
            assert (done["rowsRead"], done["failed"]) == (3, 0)
        elif way == "post":
            answers = [await shop.post(f"/{resource.collection}", row) for row in rows]
            assert {each.status for each in answers} == ({202} if name == "basket" else {201})
        else:
            headers = {"Prefer": "respond-async"} if way == "queue" else {}
            assert (await shop.put(f"/{resource.collection}", {resource.plural: rows}, headers=headers)).status < 300
    await shop.engine.queue.let_pass(RESOURCES["basket"])
    await shop.engine.queue.let_pass(RESOURCES["order"])
    for key in keys:
        await is_whole(shop, circle, key)
    unresolved = (await shop.get("/jobs?status=unresolved&limit=500")).result["rows"]
    assert [each for each in unresolved if each["externalId"] in keys] == []


async def test_a_circle_may_come_in_one_request(shop: Api, n: int) -> None:
    """Two orders that name each other, in one bulk, are both created, and answered as such."""
    rows = [
        order() | named("order", f"{own}-{n}") | {"originalOrder": named("order", f"{other}-{n}")}
        for own, other in ("ab", "ba")
    ]
    answer = await shop.put("/orders", {"orders": rows})
    assert [each["outcome"] for each in answer.result] == ["created", "created"]
    assert (await get(shop, "order", f"a-{n}"))["originalOrderId"] == (await get(shop, "order", f"b-{n}"))["id"]


def ring(n: int, members: int) -> list[dict[str, Any]]:
    """Orders each of which names the next, and the last the first."""
    return [
        order()
        | named("order", f"{i}-{members}-{n}")
        | {"originalOrder": named("order", f"{(i + 1) % members}-{members}-{n}")}
        for i in range(members)
    ]


async def test_a_circle_has_its_bound(shop: Api, n: int) -> None:
    """A circle of as many records as one may have is closed; of one record more, it waits, and harms nobody."""
    whole = await shop.put("/orders", {"orders": ring(n, MEMBERS_MOST)})
    assert {each["outcome"] for each in whole.result} == {"created"}
    beyond = await shop.put("/orders", {"orders": ring(n, MEMBERS_MOST + 1)})
    assert {each["status"] for each in beyond.result} == {"unresolved"}


async def test_webhooks_are_told_of_whole_records(api: Api) -> None:
    """Of a basket and its order each webhook is told once, of the record with its reference in it."""
    circle = CIRCLES["a converted basket"]
    async with Receiver.listen() as receiver, working(api):
        for name in circle:
            await webhook(api, receiver, name)
        for name, body in bodies(circle, "k").items():
            await put(api, name, "k", body)
        await all_settled(api)
    received = [each.json() for each in receiver.received]
    told = {name: [each[name] for each in received if name in each] for name in circle}
    assert {name: len(each) for name, each in told.items()} == {"basket": 1, "order": 1}
    assert told["basket"][0]["orderId"] == told["order"][0]["id"]
    assert told["order"][0]["basketId"] == told["basket"][0]["id"]
    changes = (await api.get("/changes?resources=basket,order")).result["rows"]
    assert sorted((each["resource"], each["version"]) for each in changes) == [("basket", 1), ("order", 1)]


async def region(api: Api, n: int, **user: Any) -> list[Any]:
    """Put a region with its manager and his store, the region last; their jobs."""
    sent = bodies(CIRCLES["a region's manager"], f"{n}")
    sent["user"] |= user
    return [await put(api, name, f"{n}", sent[name]) for name in ("store", "user", "region")]


async def test_a_member_that_can_not_be_written_fails_alone(shop: Api, n: int) -> None:
    """A manager whose name is taken fails with that; region and store wait for him, and he is put right and comes."""
    await put(shop, "user", f"other-{n}", USER | {"username": f"taken-{n}"})
    store, user, last = await region(shop, n, username=f"taken-{n}")
    failed = await job(shop, user["id"])
    assert (failed["status"], failed["error"]["code"]) == ("failed", "NOT_UNIQUE")
    for each, awaited in ((last, "user"), (store, "region")):
        waiting = await job(shop, each["id"])
        assert (waiting["status"], waiting["unresolvedReferences"][0]["resource"]) == ("unresolved", awaited)
    assert (await shop.get(f"/regions/{n}")).status == 404
    again = bodies(CIRCLES["a region's manager"], f"{n}")["user"]
    refused = await shop.put(f"/users/{n}", again | {"username": f"taken-{n}"})
    assert (refused.status, codes(refused)) == (409, [("/username", "NOT_UNIQUE")])
    assert check_envelope(refused)["result"] is None
    found = (await shop.get("/jobs?status=failed&limit=500")).result["rows"]
    assert str(n) not in {each["externalId"] for each in found}
    later = await put(shop, "user", f"{n}", again | {"username": f"taken-{n}"}, headers={"Prefer": "respond-async"})
    await shop.engine.queue.let_pass(RESOURCES["user"])
    assert (await job(shop, later["id"]))["error"]["code"] == "NOT_UNIQUE"
    assert (await put(shop, "user", f"{n}", again))["outcome"] == "created"
    await is_whole(shop, CIRCLES["a region's manager"], f"{n}")
    assert {(await job(shop, each["id"]))["status"] for each in (store, last)} == {"completed"}


async def test_what_would_be_above_itself_is_refused(shop: Api, n: int) -> None:
    """Two new regions, each below the other, are both refused; what waits below them waits, until one is put right."""
    below = await put(shop, "region", f"c-{n}", {"name": "C", "parent": named("region", f"a-{n}")})
    first = await put(shop, "region", f"a-{n}", {"name": "A", "parent": named("region", f"b-{n}")})
    second = await shop.put(f"/regions/b-{n}", {"name": "B", "parent": named("region", f"a-{n}")})
    assert (second.status, codes(second)) == (400, [("/parent", "CIRCLE")])
    failed = await job(shop, first["id"])
    assert (failed["status"], failed["error"]["details"]["errors"][0]["code"]) == ("failed", "CIRCLE")
    assert (await job(shop, below["id"]))["status"] == "unresolved"
    assert (await put(shop, "region", f"b-{n}", {"name": "B"}))["outcome"] == "created"
    assert (await put(shop, "region", f"a-{n}", {"name": "A", "parent": named("region", f"b-{n}")}))["version"] == 1
    assert (await job(shop, below["id"]))["status"] == "completed"


async def test_what_is_newer_takes_its_place_in_the_circle(shop: Api, n: int) -> None:
    """Of two baskets that waited for the order the newer one is written with it, and the older was superseded."""
    sent = bodies(CIRCLES["a converted basket"], f"{n}")
    old = await put(shop, "basket", f"{n}", sent["basket"])
    new = await put(shop, "basket", f"{n}", sent["basket"] | {"status": "open"})
    await put(shop, "order", f"{n}", sent["order"])
    assert [(await job(shop, each["id"]))["status"] for each in (old, new)] == ["superseded", "completed"]
    assert (await get(shop, "basket", f"{n}"))["status"] == "open"


async def test_what_was_deleted_is_not_waited_for_in_vain(shop: Api, n: int) -> None:
    """A basket that is deleted while it waits is not made by its order, which waits until the basket comes anew."""
    sent = bodies(CIRCLES["a converted basket"], f"{n}")
    gone = await put(shop, "basket", f"{n}", sent["basket"])
    deleted = await shop.request("DELETE", f"/v2/public/baskets/external/{n}")
    assert (deleted.status, deleted.result[0]["outcome"]) == (200, "unchanged")
    waiting = await put(shop, "order", f"{n}", sent["order"])
    assert [(await job(shop, each["id"]))["status"] for each in (gone, waiting)] == ["superseded", "unresolved"]
    await put(shop, "basket", f"{n}", sent["basket"])
    await is_whole(shop, CIRCLES["a converted basket"], f"{n}")


async def test_what_was_given_up_closes_its_circle_when_it_is_requeued(shop: Api, n: int) -> None:
    """A basket whose time is over is not made by its order; requeued, it brings both, be the order given up or not."""
    for i in range(2):
        sent = bodies(CIRCLES["a converted basket"], f"{i}-{n}")
        jobs = [await put(shop, "basket", f"{i}-{n}", sent["basket"])]
        await parked.expire(shop.engine.pool, 0, 168)
        jobs.append(await put(shop, "order", f"{i}-{n}", sent["order"]))
        assert [(await job(shop, each["id"]))["status"] for each in jobs] == ["failed", "unresolved"]
        if i:
            await parked.expire(shop.engine.pool, 0, 168)
        asked = {"ids": [each["id"] for each in jobs]}
        assert (await shop.post("/jobs/requeues", asked, key=shop.admin_key)).result["count"] == 1 + i
        assert {(await job(shop, each["id"]))["outcome"] for each in jobs} == {"created"}
        await is_whole(shop, CIRCLES["a converted basket"], f"{i}-{n}")


async def test_a_trial_closes_no_circle(shop: Api, n: int) -> None:
    """With dryRun the last of a circle says that it would be created, and nothing is."""
    sent = bodies(CIRCLES["a converted basket"], f"{n}")
    waiting = await put(shop, "basket", f"{n}", sent["basket"])
    assert (await put(shop, "order", f"{n}", sent["order"], "?dryRun=true"))["outcome"] == "created"
    assert (await job(shop, waiting["id"]))["status"] == "unresolved"
    assert (await shop.get(f"/orders/{n}")).status == 404


async def test_what_refers_to_a_circle_comes_with_it(shop: Api, n: int) -> None:
    """An order of a customer and with lines of a variant waits for the customer as well, and then all are there."""
    key = f"{n}"
    sent = bodies(CIRCLES["a converted basket"], key)
    sent["order"] = order(line("1"), customer=named("customer", key), basket=named("basket", key))
    sent["basket"]["lines"] = [{"externalBasketLineId": "1", "quantity": 1, "variant": named("variant", key)}]
    jobs = [await put(shop, name, key, sent[name]) for name in ("basket", "order")]
    await put(shop, "customer", key, {"firstName": "Ada"})
    await put(shop, "variant", key, {"sku": f"sku-{n}", "product": named("product", key)})
    assert {(await job(shop, each["id"]))["status"] for each in jobs} == {"unresolved"}
    await put(shop, "product", key, {"name": "Jumper"})
    assert {(await job(shop, each["id"]))["outcome"] for each in jobs} == {"created"}
    await is_whole(shop, CIRCLES["a converted basket"], key)
