"""Many records in one request: each has a result of its own, or all go together."""

import asyncio
from uuid import uuid4

import pytest

from tests.conftest import eventually
from tests.contract.conftest import Api


def customers(*names: object) -> dict[str, object]:
    """A bulk body: a customer for each external id, one without any name for None."""
    rows = [{"externalCustomerId": f"c-{i}", "firstName": name} for i, name in enumerate(names)]
    return {"customers": [{k: v for k, v in row.items() if v is not None} for row in rows]}


async def test_a_thousand_rows_with_five_hundred_bad_ones_apply_the_good_ones(api: Api) -> None:
    """A bulk body of 1,000 rows with 500 bad ones applies exactly the 500 good ones and points at each bad one."""
    answer = await api.put("/customers", customers(*(["Ada", 7] * 500)))
    statuses = [job["status"] for job in answer.result]
    bad = [job for job in answer.result if job["status"] == "failed"]
    assert answer.status == 200
    assert statuses == ["completed", "failed"] * 500
    assert [job["index"] for job in answer.result] == list(range(1000))
    assert [job["error"]["details"]["errors"][0]["path"] for job in bad] == [
        f"/customers/{i}/firstName" for i in range(1, 1000, 2)
    ]
    assert (await api.get("/customers?limit=0")).result["count"] == 500


async def test_everything_is_rejected_where_that_is_asked_for(api: Api) -> None:
    """With errorPolicy=rejectEverything one bad row applies none, and all problems are told at once."""
    refused = await api.put("/customers?errorPolicy=rejectEverything", customers("Ada", 7, None))
    applied = await api.put("/customers?errorPolicy=rejectEverything", customers("Ada", "Grace"))
    assert refused.status == 400
    assert [each["path"] for each in refused.error["details"]["errors"]] == ["/customers/1/firstName", "/customers/2"]
    assert [job["outcome"] for job in applied.result] == ["created", "created"]
    assert (await api.get("/customers?limit=0")).result["count"] == 2


async def test_an_external_id_stands_once_in_a_request(api: Api) -> None:
    """The second row of one external id fails, and the first is applied."""
    rows = [{"externalCustomerId": "c-1", "firstName": name} for name in ("Ada", "Grace")]
    answer = await api.put("/customers", {"customers": rows})
    assert [job["status"] for job in answer.result] == ["completed", "failed"]
    assert answer.result[1]["error"]["code"] == "DUPLICATE_IN_BATCH"
    assert (await api.get("/customers/c-1")).result["firstName"] == "Ada"


@pytest.mark.parametrize("names", [("old", "new"), ("new", "old")])
async def test_of_two_rows_of_one_record_the_last_holds(api: Api, names: tuple[str, str]) -> None:
    """A record that is sent under two of its external ids is as the last row says, also where it was so before."""
    made = (await api.put("/customers/old", {"firstName": "Ada"})).result[0]["resourceId"]
    await api.put(f"/customers/id/{made}", {"externalCustomerId": "new", "firstName": "Ada"})
    rows = [{"externalCustomerId": each, "firstName": told} for each, told in zip(names, ("Eve", "Ada"), strict=True)]
    answer = await api.put("/customers", {"customers": rows})
    assert [job["outcome"] for job in answer.result] == ["updated", "updated"]
    assert (await api.get("/customers/new")).result["firstName"] == "Ada"


async def test_a_row_with_a_missing_reference_fails_alone(api: Api) -> None:
    """A row whose store is not there, where none may wait, fails with its pointer, and its neighbours are applied."""
    rows = customers("Ada", "Grace")["customers"]
    assert isinstance(rows, list)
    rows[1]["registeredAt"] = {"externalStoreId": "nowhere"}
    answer = await api.put("/customers?onUnresolved=reject", {"customers": rows})
    assert [job["status"] for job in answer.result] == ["completed", "failed"]
    assert answer.result[1]["error"]["details"]["errors"][0]["path"] == "/customers/1/registeredAt"


async def test_a_taken_user_name_fails_alone(api: Api) -> None:
    """Of two users with one user name in a request, one is made and the other fails."""
    users = [{"externalUserId": f"u-{i}", "firstName": "A", "lastName": "B", "username": "same"} for i in range(2)]
    answer = await api.put("/users", {"users": users})
    assert sorted(job["status"] for job in answer.result) == ["completed", "failed"]


async def test_what_is_no_bulk_body_is_refused(api: Api) -> None:
    """A body without the plural, without rows, or with more than 1,000 is refused, and nothing is written."""
    bodies = [{}, {"customer": []}, {"customers": []}, {"customers": {}}, customers(*["Ada"] * 1001)]
    answers = [await api.put("/customers", body) for body in bodies]
    assert [answer.status for answer in answers] == [400] * 5
    assert (await api.get("/customers?limit=0")).result["count"] == 0


async def test_jobs_and_batches_can_be_looked_up(api: Api) -> None:
    """Every job of a request is found by its id, its batch, its status and its external id, failed ones with why."""
    jobs = (await api.put("/customers", customers("Ada", 7))).result
    batch = jobs[0]["batchId"]
    one = (await api.get(f"/jobs/{jobs[0]['id']}")).result
    failed = (await api.get(f"/jobs?batchId={batch}&status=failed")).result["rows"]
    named = (await api.get("/jobs?externalId=c-0&resource=customer&queueName=scv:customer:upsert")).result["rows"]
    totals = (await api.get(f"/batches/{batch}")).result
    assert one == jobs[0]
    assert [[job["id"], job["error"]["code"]] for job in failed] == [[jobs[1]["id"], "VALIDATION_ERROR"]]
    assert [job["id"] for job in named] == [jobs[0]["id"]]
    assert [totals["count"], totals["statuses"], totals["outcomes"]] == [
        2,
        {"completed": 1, "failed": 1},
        {"created": 1},
    ]


async def test_a_job_that_nobody_knows_is_not_found(api: Api) -> None:
    """An unknown job or batch is a 404, and what is no id is a 400."""
    answers = [await api.get(path) for path in (f"/jobs/{uuid4()}", f"/batches/{uuid4()}", "/jobs/x", "/jobs?status=x")]
    assert [answer.status for answer in answers] == [404, 404, 400, 400]


async def written(api: Api) -> bool:
    """Whether the first of many are written."""
    return bool(await api.engine.pool.fetchval("select exists (select from customers)"))


async def test_senders_of_many_keep_nobody_waiting(api: Api) -> None:
    """Five full requests at once are all written, and who sends one record meanwhile is not the last to be answered."""
    bodies = [customers(*[f"Ada {number}"] * 1000) for number in range(5)]
    many = [asyncio.create_task(api.put("/customers", body)) for body in bodies]
    await eventually(lambda: written(api))
    single = await api.put("/customers/single", {"firstName": "Grace"})
    assert (single.status, all(each.done() for each in many)) == (200, False)
    answers = await asyncio.gather(*many)
    assert {job["status"] for answer in answers for job in answer.result} == {"completed"}
    assert (await api.get("/customers?limit=0")).result["count"] == 1001
