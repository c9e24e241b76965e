"""What is sent again as it was is not read again, and nobody can tell but by the time it takes."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from random import Random
from typing import Any

import msgspec
import pytest

from retailos.declare.resource import Resource
from retailos.records import form
from retailos.resources import RESOURCES
from tests.conftest import eventually
from tests.contract.conftest import Api, Response, ground, least
from tests.contract.test_queue import LATER, held

CUSTOMER = RESOURCES["customer"]
MANY = 20
DEEP = b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
#: Changes a record and leaves its version, as nobody may: who does not read what is sent does not see it.
PAST_THE_PROGRAM = 'update customers set body = body || \'{"title": "Dr"}\' where external_id = $1'


def bodies(prefix: str, **more: Any) -> list[dict[str, Any]]:
    """Customers, enough of them that it is worth while to look whether they are known."""
    return [{"externalCustomerId": f"{prefix}-{i}", "firstName": f"Ada {i}"} | more for i in range(MANY)]


async def sent(api: Api, records: list[dict[str, Any]], *, evenly: bool = True, query: str = "") -> Response:
    """Send customers in one request. What is not evenly spaced is always read."""
    body = msgspec.json.encode({"customers": records})
    if not evenly:
        body = body.replace(b"},{", b"} , {", 1)
    return await api.request("PUT", f"/v2/public/customers{query}", body=body)


async def known(api: Api, prefix: str, **more: Any) -> list[dict[str, Any]]:
    """Customers that were sent until it is known that they are as they are sent."""
    records = bodies(prefix, **more)
    for _ in range(2):
        assert (await sent(api, records)).status == 200
    return records


def outcomes(answer: Response) -> list[Any]:
    """What came of each record, and its version."""
    return [(job.get("outcome"), job.get("version"), (job.get("error") or {}).get("code")) for job in answer.result]


async def test_what_is_known_is_answered_as_what_is_read(shop: Api) -> None:
    """The third time everything is sent, each record has a job as the second time, and nothing has come of it."""
    records, store = bodies("same"), await shop.put("/stores/same", {"name": "London"})
    assert store.status == 200
    records[3]["registeredAt"] = {"externalStoreId": "same"}
    first, second, third = [await sent(shop, records) for _ in range(3)]
    assert {job["outcome"] for job in first.result} == {"created"}
    own = ("id", "batchId", "createdAt", "completedAt")
    assert [
        [{name: value for name, value in job.items() if name not in own} for job in each.result]
        for each in (second, third)
    ] == [[{name: value for name, value in job.items() if name not in own} for job in second.result]] * 2
    assert set(outcomes(third)) == {("unchanged", 1, None)}
    assert len({job["id"] for each in (first, second, third) for job in each.result}) == 3 * MANY
    batch = third.result[0]["batchId"]
    assert (await shop.get(f"/jobs/{third.result[5]['id']}")).result == third.result[5]
    assert (await shop.get(f"/batches/{batch}")).result["outcomes"] == {"unchanged": MANY}
    rows = (await shop.get("/changes?since=beginning&limit=1000&resources=customer")).result["rows"]
    assert Counter(row["externalId"].partition("-")[0] for row in rows)["same"] == MANY


async def test_what_is_known_is_not_read(shop: Api) -> None:
    """The same bytes are not held against the record while its version stands; other bytes that say the same are."""
    records = await known(shop, "unread")
    await shop.engine.pool.execute(PAST_THE_PROGRAM, "unread-7")
    records[7]["title"] = None
    assert outcomes(await sent(shop, records))[7] == ("updated", 2, None)
    assert set(outcomes(await sent(shop, records))) == {("unchanged", 1, None), ("unchanged", 2, None)}
    await shop.engine.pool.execute(PAST_THE_PROGRAM, "unread-7")
    assert outcomes(await sent(shop, records))[7] == ("unchanged", 2, None)
    assert outcomes(await sent(shop, records, evenly=False))[7] == ("updated", 3, None)


async def test_what_changed_meanwhile_is_set_back(shop: Api) -> None:
    """Whatever was done to records since they were sent, sending them again makes them what is sent."""
    records = await known(shop, "back", title="Ms")
    await shop.request("PATCH", "/v2/public/customers/external/back-0", json={"title": "Dr"})
    await shop.request("DELETE", "/v2/public/customers/external/back-1")
    await shop.put("/customers/back-2", {"firstName": "Eve"})
    found = outcomes(await sent(shop, records))
    assert found[:3] == [("updated", 3, None), ("undeleted", 3, None), ("updated", 3, None)]
    assert set(found[3:]) == {("unchanged", 1, None)}
    shown = [(await shop.get(f"/customers/external/back-{i}")).result for i in range(3)]
    assert [(each["title"], each["firstName"]) for each in shown] == [("Ms", f"Ada {i}") for i in range(3)]


async def test_what_was_renamed_or_merged_meanwhile_is_known_by_its_old_name(shop: Api) -> None:
    """A record that has another external id by now, or was merged away, is found by the one that is still sent."""
    records = await known(shop, "moved")
    ids = [job["resourceId"] for job in (await sent(shop, records)).result]
    await shop.request("PATCH", f"/v2/public/customers/id/{ids[3]}", json={"externalCustomerId": "moved-new"})
    await shop.post(f"/customers/{ids[4]}/merge", {"from": [ids[5]]})
    answer = await sent(shop, records)
    assert (outcomes(answer)[3], outcomes(answer)[5][0]) == (("unchanged", 2, None), "redirected")
    assert [answer.result[i]["resourceId"] for i in (3, 5)] == [ids[3], ids[4]]


async def test_what_is_known_hides_nothing_beside_it(shop: Api) -> None:
    """Among records that are known, a changed one is written, a bad one is refused with its place, a new one made."""
    records = await known(shop, "beside")
    records[2]["firstName"] = "Eve"
    records[5]["firstName"] = 7
    records[9] = {"externalCustomerId": "beside-new", "firstName": "Bea"}
    answer = await sent(shop, records)
    found = outcomes(answer)
    assert [found[i] for i in (2, 5, 9)] == [
        ("updated", 2, None),
        (None, None, "VALIDATION_ERROR"),
        ("created", 1, None),
    ]
    assert found.count(("unchanged", 1, None)) == MANY - 3
    assert answer.result[5]["error"]["details"]["errors"][0]["path"] == "/customers/5/firstName"
    assert [job["index"] for job in answer.result] == list(range(MANY))


@pytest.mark.parametrize(
    "bad", [b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":"\xff"}', b'{"a":01}', b"{", DEEP], ids=lambda bad: repr(bad)[:20]
)
async def test_what_is_known_hides_no_bad_json(shop: Api, bad: bytes) -> None:
    """Among records that are known, what is no JSON refuses the request as ever: nothing is written, no job either."""
    records = await known(shop, "json")
    body = msgspec.json.encode({"customers": [*records, "bad"]})
    before = await shop.stored()
    answers = [
        await shop.request("PUT", "/v2/public/customers", body=each.replace(b'"bad"', bad))
        for each in (body, body.replace(b"},{", b"} , {", 1))
    ]
    assert [each.status for each in answers] == [400, 400]
    assert answers[0].error["code"] == answers[1].error["code"] == "MALFORMED_JSON"
    assert await shop.stored() == before


@pytest.mark.parametrize("twice", [0, 9])
async def test_an_external_id_stands_once_among_what_is_known(shop: Api, twice: int) -> None:
    """The second row of one external id fails, whether the first is known or not."""
    records = await known(shop, f"twice{twice}")
    records[twice] = records[twice] | {"firstName": "Eve"}
    again = records[4] | {"externalCustomerId": records[twice]["externalCustomerId"]}
    found = outcomes(await sent(shop, [*records, again]))
    assert (found[twice], found[-1]) == (("updated", 2, None), (None, None, "DUPLICATE_IN_BATCH"))


async def test_two_names_of_one_record_have_their_turns(shop: Api) -> None:
    """Where a record is sent by its old external id and by its new one, what comes last holds."""
    records = await known(shop, "names")
    record_id = (await sent(shop, records)).result[0]["resourceId"]
    await shop.request("PATCH", f"/v2/public/customers/id/{record_id}", json={"externalCustomerId": "names-new"})
    newest = [*records[1:], {"externalCustomerId": "names-new", "firstName": "Ada 0"}]
    for _ in range(2):
        assert {outcome for outcome, _, _ in outcomes(await sent(shop, newest))} == {"unchanged"}
    assert {outcome for outcome, _, _ in outcomes(await sent(shop, [*records, *newest[-1:]]))} == {"unchanged"}
    both = [{"externalCustomerId": "names-0", "firstName": "Eve"}, *newest]
    found = outcomes(await sent(shop, both))
    assert {found[0], found[-1]} == {("updated", 3, None), ("updated", 4, None)}
    shown = (await shop.get("/customers/external/names-new")).result["firstName"]
    assert shown == ("Ada 0" if found[-1][1] == 4 else "Eve")


async def test_what_was_accepted_before_is_written_before(shop: Api) -> None:
    """A change that was accepted and is not written yet is not passed by what is known."""
    records = await known(shop, "queue")
    async with held(shop, "queue-3"):
        queued = await shop.put("/customers/queue-3", {"firstName": "Eve"}, headers=LATER)
        assert queued.status == 202
        sending = asyncio.create_task(sent(shop, records))
        waiting = "select count(*) > 1 from pg_stat_activity where datname = current_database() and state = 'active'"
        await eventually(lambda: shop.engine.pool.fetchval(waiting))
        assert not sending.done()
    assert outcomes(await sending)[3] == ("updated", 3, None)


async def test_what_waits_for_others_is_given_up_by_what_is_known(shop: Api) -> None:
    """An upsert that waits for a store, of a record that is sent again as it is, is superseded as by any other."""
    records = await known(shop, "parked")
    waiting = await shop.put(
        "/customers/parked-2", {"firstName": "Eve", "registeredAt": {"externalStoreId": "nowhere"}}
    )
    assert waiting.status == 202
    assert set(outcomes(await sent(shop, records))) == {("unchanged", 1, None)}
    assert (await shop.get(f"/jobs/{waiting.result[0]['id']}")).result["status"] == "superseded"


async def test_an_older_state_of_the_source_is_stale_though_it_was_sent(shop: Api) -> None:
    """What is older at its source than the record is stale, also where just that was sent before."""
    older, newer = "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"
    records = await known(shop, "stale", sourceUpdatedAt=older)
    assert (await shop.put("/customers/stale-1", {"firstName": "Eve", "sourceUpdatedAt": newer})).status == 200
    assert outcomes(await sent(shop, records))[1] == ("stale", 2, None)


async def test_other_ways_of_reading_read(shop: Api) -> None:
    """With a parameter, or all or none, everything is read, and nothing that was learnt otherwise counts."""
    records = await known(shop, "ways")
    await shop.engine.pool.execute(PAST_THE_PROGRAM, "ways-1")
    records[1]["title"] = None
    for query in ("?onUnresolved=reject", "?errorPolicy=rejectEverything"):
        assert outcomes(await sent(shop, records, query=query))[1][0] == "updated"
        await shop.engine.pool.execute(PAST_THE_PROGRAM, "ways-1")


@pytest.mark.parametrize("seed", range(3))
async def test_nobody_can_tell(shop: Api, seed: int) -> None:
    """Two families of records live alike, one sent so that it is known, the other so that it is always read."""
    random = Random(seed)
    families = {f"even{seed}": True, f"odd{seed}": False}
    current: list[dict[str, Any]] = [{"firstName": "Ada", "details": {"n": 0}} for _ in range(MANY)]
    for _ in range(30):
        which, way, changed = random.randrange(MANY), random.randrange(5), random.sample(range(MANY), 3)
        for i in changed if random.random() < 0.3 else ():
            current[i] = {"firstName": random.choice(["Ada", "Eve"]), "details": {"n": random.randrange(2)}}
        for name in families:
            await meddle(shop, f"{name}-{which}", way)
        told = [
            outcomes(
                await sent(
                    shop,
                    [{"externalCustomerId": f"{name}-{i}"} | each for i, each in enumerate(current)],
                    evenly=evenly,
                )
            )
            for name, evenly in families.items()
        ]
        assert told[0] == told[1]
    fields = "?fields=firstName,title,version"
    shown = [
        [(await shop.get(f"/customers/external/{name}-{i}{fields}")).result for i in range(MANY)] for name in families
    ]
    assert shown[0] == shown[1]


async def meddle(api: Api, external_id: str, way: int) -> None:
    """Change a customer behind the back of who sends all of them, or do nothing."""
    path = f"/customers/external/{external_id}"
    if way == 0:
        await api.request("PATCH", f"/v2/public{path}", json={"firstName": "Bea"})
    elif way == 1:
        await api.request("DELETE", f"/v2/public{path}")
    elif way == 2:
        assert (await api.put(f"/customers/{external_id}", {"firstName": "Bea", "title": "Ms"})).status == 200


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)
async def test_every_resource_can_be_known(shop: Api, resource: Resource, number: int) -> None:
    """Records of every resource are known the third time they are sent, and unchanged."""
    # Where records are unique by what they refer to, each needs a ground of its own.
    numbers = [number * 1_000 + i if resource.together else number for i in range(MANY)]
    await ground(shop, resource, *dict.fromkeys(numbers))
    key = resource.external_id.name
    records = [least(resource, each) | {key: f"{resource.name}-{number}-{i}"} for i, each in enumerate(numbers)]
    for i, each in enumerate(records):
        each |= {name: f"{each[name]}-{i}" for name in resource.unique if name in each}
    told = [await shop.put(f"/{resource.collection}", {resource.plural: records}) for _ in range(3)]
    ids = [job["resourceId"] for job in told[2].result]
    assert outcomes(told[2]) == outcomes(told[1]) == [("unchanged", 1, None)] * MANY
    assert await shop.engine.pool.fetchval("select count(*) from resent where record_id = any($1::uuid[])", ids) == MANY


def test_the_same_bytes_mean_the_same_to_every_process() -> None:
    """What is remembered is known to every process, and not where a resource is declared otherwise."""
    told = "from retailos.records.form import salt_of; from retailos.resources import RESOURCES;"
    told += "print(*(salt_of(each).hex() for each in RESOURCES.values()))"
    salts = {
        subprocess.run(
            [sys.executable, "-c", told], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "12"
    }
    own = [form.salt_of(each).hex() for each in RESOURCES.values()]
    assert salts == {(" ".join(own) + "\n").encode()}
    assert len(set(own)) == len(own)
