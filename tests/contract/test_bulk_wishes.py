"""How a request of many is wanted: shown, replaced, read strictly or not, and tried, as one record may be."""

from typing import Any

import pytest

from tests.contract.conftest import Api, check_envelope
from tests.contract.test_bulk import customers
from tests.contract.test_keys import key_for

SHOWN = {"Prefer": "return=representation"}


async def test_each_record_comes_along_where_that_is_preferred(api: Api) -> None:
    """With return=representation each job shows its record as it is now, whatever became of it; a failed one, none."""
    await api.put("/customers/c-0", {"firstName": "Ada", "lastName": "Lovelace"})
    await api.put("/customers/c-1", {"firstName": "Grace"})
    body = customers("Augusta", "Grace", "Jean", 7)
    for query in ("", "?errorPolicy=applyGood", "?unknownFields=ignore"):
        shown = (await api.put(f"/customers{query}", body, headers=SHOWN)).result
        assert [job["status"] for job in shown] == ["completed"] * 3 + ["failed"]
        for job in shown[:3]:
            assert job["record"] == (await api.get(f"/customers/{job['externalId']}")).result
        assert shown[0]["record"]["lastName"] == "Lovelace"
        assert "record" not in shown[3]
    assert all("record" not in job for job in (await api.put("/customers", body)).result)
    together = await api.put("/customers?errorPolicy=rejectEverything", customers("Emmy", "Mary"), headers=SHOWN)
    assert [job["record"]["firstName"] for job in together.result] == ["Emmy", "Mary"]


async def test_what_is_known_to_be_as_it_is_sent_is_shown_too(api: Api) -> None:
    """Records that are not read again, since nothing changed, come along like the others."""
    body = customers(*(f"Ada {i}" for i in range(20)))
    for _ in range(3):
        shown = (await api.put("/customers", body, headers=SHOWN)).result
        assert [job["record"]["firstName"] for job in shown] == [f"Ada {i}" for i in range(20)]


async def test_what_waits_has_no_record_to_show(api: Api) -> None:
    """A record that waits for its store is not there yet, and its job says so without one."""
    rows: Any = customers("Ada", "Grace")
    rows["customers"][1]["registeredAt"] = {"externalStoreId": "nowhere"}
    shown = (await api.put("/customers", rows, headers=SHOWN)).result
    assert [(job["status"], "record" in job) for job in shown] == [("completed", True), ("unresolved", False)]


async def test_many_are_shown_to_who_may_read_them(shop: Api) -> None:
    """A key that may only write is refused the records, and nothing is written; without the wish it writes."""
    key = (await key_for(shop, "customer:write")).key
    refused = await shop.put("/customers", customers("Ada"), headers=SHOWN, key=key)
    assert "customer:read" in check_envelope(refused, 403)["error"]["message"]
    assert (await shop.put("/customers", customers("Ada"), key=key)).result[0]["outcome"] == "created"


@pytest.mark.parametrize("later", [{}, {"Prefer": "respond-async"}])
async def test_many_are_replaced_whole(api: Api, later: dict[str, str]) -> None:
    """With mode=replace what is absent is reset in each record, at once or when it is written later."""
    await api.put("/customers/c-0", {"firstName": "Ada", "lastName": "Lovelace", "generalMarketing": True})
    answer = await api.put("/customers?mode=replace", customers("Ada"), headers=later)
    assert answer.status == (202 if later else 200)
    # A write comes after what was accepted before it.
    await api.put("/customers/c-0", {"firstName": "Ada"})
    shown = (await api.get("/customers/c-0")).result
    assert (shown["lastName"], shown["generalMarketing"]) == (None, False)


async def test_unknown_fields_of_many_are_ignored_where_that_is_asked_for(api: Api) -> None:
    """unknownFields=ignore passes over them in each record; unasked, and under handling=strict, they fail alone."""
    rows: Any = customers("Ada", "Grace")
    rows["customers"][1]["shoeSize"] = 38
    asked = "/customers?unknownFields=ignore"
    ignored, strict = await api.put(asked, rows), await api.put(asked, rows, headers={"Prefer": "handling=strict"})
    plain = await api.put("/customers", rows)
    assert [job["status"] for job in ignored.result] == ["completed", "completed"]
    for answer in (strict, plain):
        assert [job["status"] for job in answer.result] == ["completed", "failed"]
        assert answer.result[1]["error"]["details"]["errors"][0]["path"] == "/customers/1/shoeSize"


async def test_many_can_be_tried(api: Api) -> None:
    """With dryRun each job says what would have come of it, the failures too, and nothing at all is written."""
    await api.put("/customers/c-0", {"firstName": "Ada"})
    await api.put("/customers/c-1", {"firstName": "Grace"})
    before = await api.stored()
    rows: Any = customers("Ada", "Augusta", "Jean", 7, "Mary")
    rows["customers"][4]["registeredAt"] = {"externalStoreId": "nowhere"}
    for headers in ({}, {"Prefer": "respond-async, return=representation"}):
        tried = await api.put("/customers?dryRun=true", rows, headers=headers)
        assert tried.status == 200
        assert [job["outcome"] for job in tried.result] == ["unchanged", "updated", "created", None, None]
        assert [job["status"] for job in tried.result] == ["completed"] * 3 + ["failed", "unresolved"]
        assert [(job["dryRun"], job["index"], job["batchId"]) for job in tried.result] == [
            (True, i, None) for i in range(5)
        ]
        assert await api.stored() == before
    done = await api.put("/customers", rows)
    assert [job["outcome"] for job in done.result] == [job["outcome"] for job in tried.result]


async def test_all_or_none_can_be_tried(api: Api) -> None:
    """A trial under errorPolicy=rejectEverything is refused as the write would be, and writes as little."""
    before = await api.stored()
    asked = "/customers?errorPolicy=rejectEverything&dryRun=true"
    refused, good = await api.put(asked, customers("Ada", 7)), await api.put(asked, customers("Ada", "Grace"))
    assert (refused.status, good.status) == (400, 200)
    assert [(job["outcome"], job["dryRun"]) for job in good.result] == [("created", True)] * 2
    assert await api.stored() == before


async def test_a_trial_finds_what_the_database_alone_knows(api: Api) -> None:
    """Names that are taken fail alone in a trial, as they would, and a parent may come in the same request."""
    users = [
        {"externalUserId": f"u-{i}", "firstName": "A", "lastName": "B", "username": f"name-{i % 5}"} for i in range(8)
    ]
    tried = await api.put("/users?dryRun=true", {"users": users})
    assert [job["status"] for job in tried.result] == ["completed"] * 5 + ["failed"] * 3
    assert tried.result[6]["error"]["details"]["errors"][0]["path"] == "/users/6/username"
    regions: list[dict[str, Any]] = [{"externalRegionId": f"r-{i}", "name": "R"} for i in range(3)]
    for child, parent in zip(regions[1:], regions, strict=False):
        child["parent"] = {"externalRegionId": parent["externalRegionId"]}
    grown = await api.put("/regions?dryRun=true", {"regions": regions})
    assert [job["outcome"] for job in grown.result] == ["created"] * 3
    assert (await api.get("/users?limit=0")).result["count"] == (await api.get("/regions?limit=0")).result["count"] == 0


async def test_two_names_of_one_record_have_their_turns(api: Api) -> None:
    """Rows that lead to one record, by an old external id and by the new one, are tried as they would be written.

    Where all or none are wanted they are refused, as one external id that comes twice is.
    """
    made = (await api.put("/customers/old", {"firstName": "Ada"})).result[0]["resourceId"]
    await api.put(f"/customers/id/{made}", {"externalCustomerId": "new", "firstName": "Ada"})
    rows = [{"externalCustomerId": name, "firstName": name} for name in ("old", "new")]
    tried = await api.put("/customers?dryRun=true", {"customers": rows})
    assert [(job["outcome"], job["version"]) for job in tried.result] == [("updated", 3), ("updated", 4)]
    refused = await api.put("/customers?errorPolicy=rejectEverything", {"customers": rows})
    assert [each["code"] for each in check_envelope(refused, 400)["error"]["details"]["errors"]] == [
        "DUPLICATE_IN_BATCH"
    ]
    assert (await api.get("/customers/new")).result["version"] == 2
    done = await api.put("/customers", {"customers": rows})
    assert sorted((job["outcome"], job["version"]) for job in done.result) == [("updated", 3), ("updated", 4)]


@pytest.mark.parametrize("asked", ["mode=replac", "unknownFields=x", "dryRun=yes", "errorPolicy=x", "shown=true"])
async def test_a_wish_that_is_none_is_refused(shop: Api, asked: str) -> None:
    """What of a bulk request's parameters is unknown is a 400, and nothing is written."""
    before = await shop.stored()
    assert check_envelope(await shop.put(f"/customers?{asked}", customers("Ada")), 400)
    assert await shop.stored() == before
