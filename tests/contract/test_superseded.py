"""What becomes of upserts that wait: newer ones take their place, time runs out, and they can be requeued."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from retailos import keys
from retailos.records import parked
from tests.conftest import eventually
from tests.contract.conftest import Api, check_envelope
from tests.contract.delivering import working


@pytest.fixture
def n(numbers: Iterator[int]) -> int:
    """A number for external ids that no other test uses."""
    return next(numbers)


def at_store(n: int, name: str = "Old", **more: Any) -> dict[str, Any]:
    """A customer who was registered at a store."""
    return {"firstName": name, "registeredAt": {"externalStoreId": f"s-{n}"}} | more


async def job(api: Api, job_id: str) -> Any:
    """A job as it stands."""
    return (await api.get(f"/jobs/{job_id}")).result


async def put(api: Api, path: str, body: Any, **more: Any) -> Any:
    """Put one record; its job."""
    return (await api.put(path, body, **more)).result[0]


async def come(api: Api, n: int) -> None:
    """Let the store come."""
    assert (await api.put(f"/stores/s-{n}", {"name": "X"})).status == 200


#: A customer that came another way, past the program, which leaves alone what waits.
MADE = """
insert into customers (id, external_id, version, operation, created_at, updated_at, source_updated_at, body)
values (gen_random_uuid(), $1, 1, 'create', now(), now(), $2, '{}')
"""
PARTIES = ("survivor", "loser")
NEWER: dict[str, tuple[str, str, dict[str, Any]]] = {
    "put": ("PUT", "", {}),
    "bulk": ("PUT", "", {}),
    "all or none": ("PUT", "?errorPolicy=rejectEverything", {}),
    "post": ("POST", "", {}),
    "condition": ("PUT", "/c-{n}", {"If-None-Match": "*"}),
}


@pytest.mark.parametrize("way", NEWER)
async def test_a_newer_upsert_takes_the_place_of_one_that_waits(shop: Api, n: int, way: str) -> None:
    """However the newer one comes, the older job is superseded, and nothing of it is ever applied."""
    method, path, headers = NEWER[way]
    old = await put(shop, f"/customers/c-{n}", at_store(n, lastName="Lost"))
    body: dict[str, Any] = {"externalCustomerId": f"c-{n}", "firstName": "New"}
    target = path.format(n=n) if way != "put" else f"/c-{n}"
    sent = {"customers": [body]} if way in ("bulk", "all or none") else body
    newer = await shop.request(method, f"/v2/public/customers{target}", json=sent, headers=headers)
    assert newer.status in (200, 201), newer.body
    superseded = await job(shop, old["id"])
    assert (superseded["status"], superseded["unresolvedReferences"]) == ("superseded", [])
    await come(shop, n)
    record = (await shop.get(f"/customers/c-{n}")).result
    assert (record["firstName"], record["lastName"], record["version"]) == ("New", None, 1)
    assert (await job(shop, old["id"])) == superseded


@pytest.mark.parametrize("waiting", ["survivor", "loser"])
async def test_a_merge_takes_the_place_of_what_waits(shop: Api, n: int, waiting: str) -> None:
    """What waited for a record when it was merged is older than the merge: it changes neither names nor consents."""
    ids = {each: (await put(shop, f"/customers/{each}-{n}", {"firstName": each}))["resourceId"] for each in PARTIES}
    old = await put(shop, f"/customers/{waiting}-{n}", at_store(n, emailMarketing=True))
    tried = await shop.post(f"/customers/{ids['survivor']}/merge?dryRun=true", {"from": [ids["loser"]]})
    assert (tried.status, (await job(shop, old["id"]))["status"]) == (200, "unresolved")
    assert (await shop.post(f"/customers/{ids['survivor']}/merge", {"from": [ids["loser"]]})).status == 200
    assert (await job(shop, old["id"]))["status"] == "superseded"
    newer = await put(shop, f"/customers/{waiting}-{n}", at_store(n, "New"))
    again = await shop.post(f"/customers/{ids['survivor']}/merge", {"from": [ids["loser"]]})
    assert (again.status, again.result["mergedIds"], newer["status"]) == (200, [], "unresolved")
    await come(shop, n)
    record = (await shop.get(f"/customers/survivor-{n}")).result
    assert (record["firstName"], record["emailMarketing"]) == ("New", False), (
        "a merge that was made before counts again"
    )


async def test_of_several_that_wait_the_newest_is_applied(shop: Api, n: int) -> None:
    """A newer upsert that has to wait as well takes the place of the older, whatever each waits for."""
    first = await put(shop, f"/customers/c-{n}", at_store(n, "First"))
    second = await put(shop, f"/customers/c-{n}", at_store(n + 500_000, "Second"))
    assert [(await job(shop, each["id"]))["status"] for each in (first, second)] == ["superseded", "unresolved"]
    await come(shop, n)
    assert (await shop.get(f"/customers/c-{n}")).status == 404
    await come(shop, n + 500_000)
    assert (await shop.get(f"/customers/c-{n}")).result["firstName"] == "Second"
    assert [(await job(shop, each["id"]))["status"] for each in (first, second)] == ["superseded", "completed"]


async def test_a_change_that_waits_is_given_up_for_a_newer_one(shop: Api, n: int) -> None:
    """A PATCH, a PUT by id with another external id, and a deletion of a record leave nothing older waiting for it."""
    for i, method in enumerate(("PATCH", "PUT", "DELETE")):
        made = await put(shop, f"/customers/{i}-{n}", {"firstName": "A"})
        old = await put(shop, f"/customers/{i}-{n}", at_store(n, title="Old"))
        body = None if method == "DELETE" else {"externalCustomerId": f"{i}-other-{n}", "firstName": "New"}
        done = await shop.request(method, f"/v2/public/customers/id/{made['resourceId']}", json=body)
        assert done.status == 200, done.body
        assert (await job(shop, old["id"]))["status"] == "superseded", method
    await come(shop, n)
    for i in range(3):
        rows = (await shop.get(f"/customers?externalCustomerId[in]={i}-{n},{i}-other-{n}&includeDeleted=true")).result
        assert [each["title"] for each in rows["rows"]] == [None]


async def test_a_deletion_of_what_waits_to_be_made(shop: Api, n: int) -> None:
    """A record that only waits is not made any more once it was deleted, and deleting it again is a 404."""
    old = await put(shop, f"/customers/c-{n}", at_store(n))
    path = f"/v2/public/customers/external/c-{n}"
    gone = check_envelope(await shop.request("DELETE", path), 200)["result"][0]
    assert (gone["status"], gone["outcome"], gone["version"]) == ("completed", "unchanged", None)
    assert (await job(shop, old["id"]))["status"] == "superseded"
    assert (await shop.request("DELETE", path)).status == 404
    await come(shop, n)
    assert (await shop.get(f"/customers/c-{n}")).status == 404


async def test_a_former_external_id_means_the_same_record(shop: Api, n: int) -> None:
    """An upsert of a record's new external id takes the place of one that waits under its old one."""
    made = await put(shop, f"/customers/old-{n}", {"firstName": "A"})
    await put(shop, f"/customers/id/{made['resourceId']}", {"firstName": "A", "externalCustomerId": f"new-{n}"})
    old = await put(shop, f"/customers/old-{n}", at_store(n))
    assert (await put(shop, f"/customers/new-{n}", {"firstName": "New"}))["outcome"] == "updated"
    assert (await job(shop, old["id"]))["status"] == "superseded"


async def test_age_at_the_source_is_judged_when_it_is_applied(shop: Api, n: int) -> None:
    """What waits and is newer at its source is not superseded, and wins in the end; what is older ends stale."""
    early, late = ({"sourceUpdatedAt": f"2026-01-0{day}T00:00:00Z"} for day in (1, 2))
    waiting = await put(shop, f"/customers/c-{n}", at_store(n, "Late") | late)
    assert (await put(shop, f"/customers/c-{n}", {"firstName": "Early"} | early))["outcome"] == "created"
    beaten = await shop.put(f"/customers/c-{n}", at_store(n, "Early") | early)
    assert (beaten.status, beaten.result[0]["status"]) == (202, "superseded")
    await come(shop, n)
    assert (await job(shop, waiting["id"]))["outcome"] == "updated"
    assert (await shop.get(f"/customers/c-{n}")).result["firstName"] == "Late"
    m = n + 500_000
    waiting = await put(shop, f"/customers/d-{n}", at_store(m, "Early") | early)
    async with shop.engine.pool.acquire() as connection:
        await connection.execute(MADE, f"d-{n}", datetime(2026, 1, 2, tzinfo=UTC))
    await come(shop, m)
    assert (await job(shop, waiting["id"]))["outcome"] == "stale"


async def test_what_can_not_be_applied_when_it_wakes_fails_alone(shop: Api, n: int) -> None:
    """A user whose name was taken meanwhile fails with the reason; the store and the others that waited are there."""
    users = [
        {"externalUserId": f"{i}-{n}", "firstName": "A", "lastName": "B", "username": f"{name}-{n}"}
        | {"currentStore": {"externalStoreId": f"s-{n}"}}
        for i, name in enumerate(("same", "other", "same"))
    ]
    parked_jobs = (await shop.put("/users", {"users": users})).result
    await come(shop, n)
    done = [await job(shop, each["id"]) for each in parked_jobs]
    assert sorted(each["status"] for each in done) == ["completed", "completed", "failed"]
    assert done[1]["status"] == "completed"
    [failed] = [each for each in done if each["status"] == "failed"]
    assert failed["error"]["code"] == "NOT_UNIQUE"
    assert failed["error"]["details"]["errors"][0]["path"] == f"/users/{failed['index']}/username"


async def test_what_wakes_together_closes_no_circle(shop: Api, n: int) -> None:
    """Two regions that wait for one user, each to become the other's parent, do not both become it."""
    names = [f"a-{n}", f"b-{n}"]
    for name in names:
        await put(shop, f"/regions/{name}", {"name": "X"})
    jobs = []
    for name, parent in (names, names[::-1]):
        below = {"name": "X", "parent": {"externalRegionId": parent}, "manager": {"externalUserId": f"u-{n}"}}
        jobs.append(await put(shop, f"/regions/{name}", below))
    user = {"firstName": "A", "lastName": "B", "username": f"circle-{n}"}
    assert (await shop.put(f"/users/u-{n}", user)).status == 200
    done = [await job(shop, each["id"]) for each in jobs]
    assert sorted(each["status"] for each in done) == ["completed", "failed"]
    [failed] = [each for each in done if each["status"] == "failed"]
    assert failed["error"]["details"]["errors"][0]["code"] == "CIRCLE"


async def test_a_record_that_was_made_meanwhile_is_not_made_again(shop: Api, n: int) -> None:
    """A POST whose record exists is refused at once; one that waited fails, if its record came from elsewhere."""
    body = at_store(n, externalCustomerId=f"c-{n}")
    [waiting] = (await shop.post("/customers", body)).result
    async with shop.engine.pool.acquire() as connection:
        await connection.execute(MADE, f"c-{n}", None)
    refused = await shop.post("/customers", body)
    assert (refused.status, refused.error["code"]) == (409, "EXTERNAL_ID_EXISTS")
    assert (await job(shop, waiting["id"]))["status"] == "unresolved"
    await come(shop, n)
    assert (await job(shop, waiting["id"]))["error"]["code"] == "EXTERNAL_ID_EXISTS"


async def requeue(api: Api, **chosen: Any) -> Any:
    """Requeue with a key that may; how many there were."""
    answer = await api.post("/jobs/requeues", chosen, key=api.admin_key)
    assert answer.status == 200, answer.body
    return answer.result["count"]


async def test_what_waits_too_long_fails_and_can_be_requeued(shop: Api, n: int) -> None:
    """After its time a job has failed with what it missed; requeued it is applied, or waits anew."""
    jobs = [await put(shop, f"/customers/{i}-{n}", at_store(n + i * 500_000)) for i in range(2)]
    assert await parked.expire(shop.engine.pool, 48, 168) == 0
    assert await parked.expire(shop.engine.pool, 0, 168) >= 2
    failed = await job(shop, jobs[0]["id"])
    assert (failed["status"], failed["error"]["code"]) == ("failed", "REFERENCE_NOT_FOUND")
    assert [each["path"] for each in failed["error"]["details"]["errors"]] == ["/registeredAt"]
    assert "store" in failed["error"]["details"]["errors"][0]["message"]
    await come(shop, n)
    assert (await shop.get(f"/customers/0-{n}")).status == 404
    ids = [each["id"] for each in jobs]
    assert await requeue(shop, ids=ids, dryRun=True) == 2
    assert await requeue(shop, ids=ids, resource="store") == 0
    assert (await job(shop, ids[0]))["status"] == "failed"
    assert await requeue(shop, ids=ids, resource="customer") == 2
    assert await requeue(shop, ids=ids) == 0
    done, waiting = [await job(shop, each) for each in ids]
    assert (done["status"], done["outcome"], done["error"]) == ("completed", "created", None)
    assert (waiting["status"], waiting["completedAt"]) == ("unresolved", None)
    assert waiting["unresolvedReferences"] == jobs[1]["unresolvedReferences"]
    await come(shop, n + 500_000)
    assert (await job(shop, ids[1]))["status"] == "completed"


async def test_a_worker_sees_to_what_waits_too_long(shop: Api, n: int) -> None:
    """A worker gives up what waited longer than the setting says, and leaves the rest waiting."""
    late, other = [await put(shop, f"/customers/{i}-{n}", at_store(n)) for i in range(2)]
    async with shop.engine.pool.acquire() as connection:
        parked_ago = "update parked set parked_at = now() - interval '3 hours' where job_id = $1::uuid"
        await connection.execute(parked_ago, late["id"])

    async def failed() -> bool:
        return bool((await job(shop, late["id"]))["status"] == "failed")

    async with working(shop, unresolved_hours=2.5):
        await eventually(failed)
    assert "2.5 hours" in (await job(shop, late["id"]))["error"]["message"]
    assert (await job(shop, other["id"]))["status"] == "unresolved"


async def test_what_was_given_up_is_forgotten_with_its_job(shop: Api, n: int) -> None:
    """The body of what failed is kept as long as jobs are, and no longer."""
    old = await put(shop, f"/customers/c-{n}", at_store(n))
    await parked.expire(shop.engine.pool, 0, 168)
    async with shop.engine.pool.acquire() as connection:
        for days, left in ((6.9, 1), (7.1, 0)):
            failed_ago = "update parked set failed_at = now() - $2 * interval '1 day' where job_id = $1::uuid"
            await connection.execute(failed_ago, old["id"], days)
            await parked.expire(shop.engine.pool, 48, 168)
            assert await connection.fetchval("select count(*) from parked where job_id = $1::uuid", old["id"]) == left


async def test_what_failed_is_superseded_too(shop: Api, n: int) -> None:
    """A job that was given up is not requeued over a newer state."""
    old = await put(shop, f"/customers/c-{n}", at_store(n))
    await parked.expire(shop.engine.pool, 0, 168)
    await put(shop, f"/customers/c-{n}", {"firstName": "New"})
    assert (await job(shop, old["id"]))["status"] == "superseded"
    assert await requeue(shop, ids=[old["id"]]) == 0


async def test_a_requeue_is_asked_for_rightly(shop: Api) -> None:
    """A requeue needs its own scope, and says what it means."""
    assert (await shop.post("/jobs/requeues", {})).status == 403
    made = await keys.create(shop.engine.pool, name="o", environment="test", scopes=("jobs:requeue",), pepper=None)
    for wrong in ('{"status": "done"}', '{"ids": ["x"]}', '{"id": []}', "[]"):
        refused = await shop.post("/jobs/requeues", None, body=wrong.encode(), key=made.key)
        assert refused.status == 400, wrong
    assert (await shop.post("/jobs/requeues", {"dryRun": True}, key=made.key)).status == 200
