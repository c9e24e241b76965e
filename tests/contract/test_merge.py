"""Records that are the same are merged into one: it is completed, they lead to it, and whoever asked is told."""

import asyncio
from typing import Any
from uuid import uuid4

from retailos.receiver import Receiver
from tests.contract.conftest import Api, Response, check_envelope, codes
from tests.contract.delivering import settled, webhook, working

CONSENTS = ("general", "thirdParty", "store", "sms", "email", "post")


async def made(api: Api, external_id: str, **fields: Any) -> str:
    """Write a customer; its id."""
    answer = await api.put(f"/customers/{external_id}", {"firstName": "Ada"} | fields)
    assert answer.status == 200, answer.body
    return str(answer.result[0]["resourceId"])


async def merged(api: Api, survivor: str, *losers: str, query: str = "", **more: Any) -> Response:
    """Merge customers."""
    return await api.post(f"/customers/{survivor}/merge{query}", {"from": list(losers)} | more)


async def shown(api: Api, external_id: str, query: str = "") -> Any:
    """A customer as it is shown."""
    return (await api.get(f"/customers/external/{external_id}{query}")).result


async def test_what_is_empty_is_filled(shop: Api) -> None:
    """The survivor keeps what it has, and takes the rest from the first of the others that has something."""
    address = {"city": "London", "postCode": "SE1 8NW"}
    empty = dict.fromkeys(("city", "county", "country", "address1", "address2", "postCode"), "")
    survivor = await made(shop, "f-1", lastName="Lovelace", title="", address=empty)
    first = await made(shop, "f-2", lastName="King", title=None, email="ada@example.com")
    second = await made(shop, "f-3", title="Ms", email="other@example.com", address=address, details={"a": [1.50]})
    answer = check_envelope(await merged(shop, survivor, first, second), 200)
    assert answer["action"] == "CUSTOMER_MERGE"
    result = answer["result"]
    assert result["fields"] == {"title": second, "email": first, "address": second, "details": second}
    assert result["mergedIds"] == [first, second]
    assert (result["externalId"], result["version"]) == ("f-1", 2)
    record = await shown(shop, "f-1")
    assert record == result["record"]
    assert [record[name] for name in ("lastName", "title", "email", "details")] == [
        *("Lovelace", "Ms", "ada@example.com", {"a": [1.5]})
    ]
    assert record["address"]["postCode"] == "SE1 8NW"
    job = (await shop.get(f"/jobs/{result['jobId']}")).result
    assert [job[name] for name in ("queueName", "outcome", "externalId", "version")] == [
        *("scv:customer:merge", "merged", "f-1", 2)
    ]


async def test_a_field_is_taken_from_whom_it_is_said(shop: Api) -> None:
    """`fields` names the record that a field comes from, be it empty there, a reference by either of its names."""
    await shop.put("/stores/merge-s", {"name": "Covent Garden"})
    reference = {"registeredAt": {"externalStoreId": "merge-s"}}
    survivor = await made(shop, "c-1", lastName="Lovelace", email="a@example.com")
    loser = await made(shop, "c-2", lastName="King", **reference)
    chosen = {"lastName": loser, "email": loser, "registeredAt": loser, "firstName": survivor}
    result = (await merged(shop, survivor, loser, fields=chosen)).result
    assert result["fields"] == {"lastName": loser, "email": loser, "registeredAtId": loser}
    assert (result["record"]["lastName"], result["record"]["email"]) == ("King", None)
    assert (await shown(shop, "c-1", "?expand=registeredAt"))["registeredAt"]["externalStoreId"] == "merge-s"


async def test_the_most_restrictive_consent_wins(shop: Api) -> None:
    """A consent stays only where every record gave it; nobody gets one by a merge, and nobody can choose one."""
    every, some = ({f"{each}Marketing": True for each in names} for names in (CONSENTS, CONSENTS[:2]))
    survivor = await made(shop, "k-1", **every)
    losers = [await made(shop, "k-2", **some), await made(shop, "k-3", **every)]
    result = (await merged(shop, survivor, *losers)).result
    assert result["consents"] == {f"{each}Marketing": each in CONSENTS[:2] for each in CONSENTS}
    assert {name: result["record"][name] for name in result["consents"]} == result["consents"]
    none, other = await made(shop, "k-4"), await made(shop, "k-5", **every)
    assert not any((await merged(shop, none, other)).result["consents"].values())
    one, two = await made(shop, "k-6"), await made(shop, "k-7", **every)
    refused = await merged(shop, one, two, fields={"smsMarketing": two})
    assert codes(refused) == [("/fields/smsMarketing", "NOT_SETTABLE")]


async def test_a_consent_that_a_merge_withdraws_is_written_down(shop: Api) -> None:
    """Each flag that a merge lowers leaves one event of the survivor, counted, in the feed and told; others none."""
    every, some = ({f"{each}Marketing": True for each in names} for names in (CONSENTS, CONSENTS[:4]))
    survivor, loser = await made(shop, "g-1", **every), await made(shop, "g-2", **some)
    about = "/consent-events?sort=-occurredAt&customer.externalCustomerId=g-1"
    count = (await shop.get("/consent-events?limit=0")).result["count"]
    since = (await shop.get("/changes?since=now")).result["nextCursor"]
    async with Receiver.listen() as receiver, working(shop):
        await webhook(shop, receiver, "consentEvent", name="withdrawn")
        assert (await merged(shop, survivor, loser, query="?dryRun=true")).status == 200
        assert (await shop.get(about)).result["count"] == 6
        result = (await merged(shop, survivor, loser)).result
        # The loser's four are led on, and two are new.
        await receiver.expect(6)
        told = [each.json()["consentEvent"] for each in receiver.received]
    assert result["repointed"]["consentEvent"] == 4
    events = [each for each in (await shop.get(about)).result["rows"] if not each["granted"]]
    assert {each["channel"] for each in events} == {"emailMarketing", "postMarketing"}
    assert {(each["source"], each["customerId"], each["version"]) for each in events} == {("customer", survivor, 1)}
    assert len({each["occurredAt"] for each in events}) == 1
    withdrawn = [each for each in told if not each["granted"]]
    assert {each["id"] for each in withdrawn} == {each["id"] for each in events}
    assert {each["customer"]["externalCustomerId"] for each in withdrawn} == {"g-1"}
    rows = (await shop.get(f"/changes?since={since}&resources=consentEvent")).result["rows"]
    assert {each["id"] for each in events} == {row["id"] for row in rows if row["operation"] == "create"}
    assert (await shop.get("/consent-events?limit=0")).result["count"] == count + 2
    assert (await merged(shop, survivor, loser)).status == 200
    again, other = await made(shop, "g-3"), await made(shop, "g-4", **every)
    await merged(shop, again, other)
    assert (await shop.get("/consent-events?limit=0")).result["count"] == count + 2 + 6


async def test_a_merged_record_leads_to_the_survivor(shop: Api) -> None:
    """A GET of a merged record is 410 with the survivor's ids; PUT and PATCH of its external id change the survivor."""
    survivor, loser = await made(shop, "l-1"), await made(shop, "l-2")
    assert (await merged(shop, survivor, loser)).status == 200
    for path in ("l-2", "external/l-2", f"id/{loser}", loser):
        gone = check_envelope(await shop.get(f"/customers/{path}"), 410)["error"]
        assert gone["code"] == "MERGED"
        assert gone["details"] == {"resourceId": survivor, "externalId": "l-1"}
    tomb = await shown(shop, "l-2", "?includeDeleted=true")
    assert (tomb["id"], tomb["mergedIntoId"], bool(tomb["deletedAt"])) == (loser, survivor, True)
    body = {"externalCustomerId": "l-2", "id": loser, "title": "Ms"}
    for sent, path, query in (
        *((body, "/customers/l-2", ""), (body | {"title": "Dr"}, "/customers/l-2", "?dryRun=true")),
        (body | {"firstName": "Ada"}, "/customers/l-2", ""),
    ):
        answer = await shop.put(path + query, {"firstName": "Ada"} | sent)
        assert answer.status == 200, answer.body
        [meta] = answer.result
        assert (meta["outcome"], meta["externalId"], meta["resourceId"]) == ("redirected", "l-1", survivor)
    bulk = await shop.put("/customers", {"customers": [{"externalCustomerId": "l-2", "firstName": "Grace"}]})
    assert [(each["outcome"], each["externalId"]) for each in bulk.result] == [("redirected", "l-1")]
    patched = await shop.request("PATCH", "/v2/public/customers/external/l-2", json={"gender": "Female"})
    assert patched.result[0]["outcome"] == "redirected"
    record = await shown(shop, "l-1")
    assert [record[each] for each in ("title", "firstName", "gender")] == ["Ms", "Grace", "Female"]
    assert (await shown(shop, "l-2", "?includeDeleted=true")) == tomb


async def test_a_merged_record_stays_merged(shop: Api) -> None:
    """What is said to a merged record by its own id, or to delete it, neither reaches the survivor nor raises it."""
    survivor, loser = await made(shop, "d-1"), await made(shop, "d-2")
    assert (await merged(shop, survivor, loser)).status == 200
    before = await shown(shop, "d-1")
    own = f"/v2/public/customers/id/{loser}"
    said = [await shop.request(each, own, json={"firstName": "Eve"}) for each in ("PUT", "PATCH")]
    assert [(each.status, each.error["code"]) for each in said] == [(410, "MERGED")] * 2
    for path in (own, "/v2/public/customers/external/d-2"):
        assert (await shop.request("DELETE", path)).result[0]["outcome"] == "unchanged"
    taken = await shop.post("/customers", {"externalCustomerId": "d-2", "firstName": "Eve"})
    assert (taken.status, taken.error["details"]) == (409, {"resourceId": survivor})
    rekeyed = await shop.put(f"/customers/id/{survivor}", {"externalCustomerId": "d-2", "firstName": "Ada"})
    assert (rekeyed.status, rekeyed.error["code"]) == (409, "EXTERNAL_ID_EXISTS")
    only_new = await shop.put("/customers/d-2", {"firstName": "Eve"}, headers={"If-None-Match": "*"})
    assert only_new.status == 412
    assert await shown(shop, "d-1") == before


async def test_a_chain_leads_to_the_last_survivor(shop: Api) -> None:
    """What was merged into a record that is merged later leads to the last, with all the ids that it ever had."""
    ids = [await made(shop, f"ch-{i}") for i in range(4)]
    await shop.put(f"/customers/id/{ids[0]}", {"externalCustomerId": "ch-renamed", "firstName": "Ada"})
    for survivor, loser in ((1, 0), (2, 1), (3, 2)):
        assert (await merged(shop, ids[survivor], ids[loser])).status == 200
    for name in ("ch-0", "ch-renamed", "ch-1", "ch-2"):
        gone = await shop.get(f"/customers/external/{name}")
        assert (gone.status, gone.error["details"]) == (410, {"resourceId": ids[3], "externalId": "ch-3"}), name
        [meta] = (await shop.put(f"/customers/{name}", {"firstName": name})).result
        assert (meta["outcome"], meta["resourceId"]) == ("redirected", ids[3])
    tombs = (await shop.get(f"/customers?includeDeleted=true&id[in]={','.join(ids[:3])}")).result["rows"]
    assert {each["mergedIntoId"] for each in tombs} == {ids[3]}
    assert {each["id"]: each["version"] for each in tombs} == {ids[0]: 5, ids[1]: 3, ids[2]: 2}


async def test_a_merge_is_counted_once(shop: Api) -> None:
    """The same merge again changes nothing, and the number of customers falls by those that are gone."""
    before = (await shop.get("/customers?limit=0")).result["count"]
    survivor, loser, other = [await made(shop, f"n-{i}") for i in range(3)]
    first = (await merged(shop, survivor, loser)).result
    stored = await shop.stored()
    again = (await merged(shop, survivor, loser)).result
    assert await shop.stored() == stored
    assert (again["mergedIds"], again["version"], again["record"]) == ([], first["version"], first["record"])
    assert (await merged(shop, survivor, loser, other)).result["mergedIds"] == [other]
    assert (await shop.get("/customers?limit=0")).result["count"] == before + 1


async def test_what_can_not_be_merged_is_refused_as_a_whole(shop: Api) -> None:
    """Records that are gone, the survivor itself, ids twice and more than may be: all is told, and nothing written."""
    survivor, loser, elsewhere, dead, third = [await made(shop, f"r-{i}") for i in range(5)]
    await shop.request("DELETE", f"/v2/public/customers/id/{dead}")
    await merged(shop, third, elsewhere)
    nobody = str(uuid4())
    before = await shop.stored()
    conflict = await merged(shop, survivor, loser, nobody, dead, elsewhere)
    assert check_envelope(conflict, 409)["error"]["code"] == "NOT_MERGEABLE"
    assert codes(conflict) == [("/from/1", "RESOURCE_NOT_FOUND"), ("/from/2", "DELETED"), ("/from/3", "MERGED")]
    wrong = await merged(shop, survivor, survivor, loser, loser, "x", fields={"emial": loser, "email": nobody, "id": 1})
    assert check_envelope(wrong, 400)["error"]["code"] == "VALIDATION_ERROR"
    assert {path for path, _ in codes(wrong)} == {
        *("/from/0", "/from/2", "/from/3", "/fields/emial", "/fields/email", "/fields/id")
    }
    bodies: list[Any] = [
        [],
        {},
        {"from": []},
        {"from": "x"},
        {"from": [loser], "x": 1},
        {"from": [loser], "fields": []},
    ]
    bodies += [{"from": [str(uuid4()) for _ in range(101)]}]
    for body in bodies:
        assert (await shop.post(f"/customers/{survivor}/merge", body)).status == 400, body
    statuses = [(await merged(shop, each, loser)).status for each in (nobody, dead, elsewhere, "r-0")]
    assert statuses == [404, 404, 410, 400]
    stale = await shop.post(f"/customers/{survivor}/merge", {"from": [loser]}, headers={"If-Match": '"99"'})
    assert (stale.status, stale.error["details"]) == (412, {"currentVersion": 1})
    assert (await shop.post(f"/stores/{survivor}/merge", {"from": [loser]})).status == 404
    assert await shop.stored() == before


async def test_what_a_record_must_have_is_left(shop: Api) -> None:
    """Fields can't be chosen so that the survivor lacks what every customer must have."""
    survivor = await made(shop, "q-1")
    loser = (await shop.put("/customers/q-2", {"email": "ada@example.com"})).result[0]["resourceId"]
    refused = await merged(shop, survivor, loser, fields={"firstName": loser, "email": survivor})
    assert codes(refused) == [("/fields", "REQUIRED")]
    assert (await merged(shop, survivor, loser, fields={"firstName": loser})).result["record"]["firstName"] is None


async def test_a_merge_can_be_seen_before_it_is_made(shop: Api) -> None:
    """With dryRun the answer is what the merge would give, and nothing is written, nor told."""
    survivor, loser = await made(shop, "p-1"), await made(shop, "p-2", email="ada@example.com", smsMarketing=True)
    before = await shop.stored()
    preview = (await merged(shop, survivor, loser, query="?dryRun=true")).result
    assert await shop.stored() == before
    assert (await shown(shop, "p-2"))["id"] == loser
    done = (await merged(shop, survivor, loser)).result
    assert preview.pop("dryRun") is True
    for each in (preview, done):
        each.pop("jobId")
        each["record"].pop("updatedAt")
    assert preview == done


async def test_the_feed_and_webhooks_tell_of_it(shop: Api) -> None:
    """The losers are told as merged, with where they went, and the survivor as it is now."""
    survivor, loser = await made(shop, "w-1"), await made(shop, "w-2", email="ada@example.com")
    since = (await shop.get("/changes?since=now")).result["nextCursor"]
    async with Receiver.listen() as receiver, working(shop):
        order = await webhook(shop, receiver, name="merges")
        await merged(shop, survivor, loser)
        for name in ("w-1", "w-2"):
            await settled(shop, order, name)
        told = {each.path.rpartition("/")[2]: each for each in receiver.received}
    rows = (await shop.get(f"/changes?since={since}")).result["rows"]
    assert [(row["externalId"], row["operation"]) for row in rows] == [("w-2", "merge"), ("w-1", "update")]
    assert rows[0]["data"]["mergedIntoId"] == survivor
    assert rows[1]["data"]["email"] == "ada@example.com"
    assert told["w-2"].header("x-ra-change") == "merged"
    assert told["w-2"].json()["customer"]["mergedIntoId"] == survivor
    assert told["w-1"].json()["customer"]["email"] == "ada@example.com"


async def test_two_who_merge_each_other_do_not_meet(shop: Api) -> None:
    """Of two merges of a pair in both directions at once one wins, the other learns where its survivor went."""
    for turn in range(12):
        a, b = await made(shop, f"x-{turn}"), await made(shop, f"y-{turn}")
        answers = await asyncio.gather(merged(shop, a, b), merged(shop, b, a))
        assert sorted(each.status for each in answers) == [200, 410]
        [won, lost] = sorted(answers, key=lambda each: each.status)
        assert lost.error["details"]["resourceId"] == won.result["resourceId"]


async def test_writes_to_a_record_that_is_being_merged_are_not_lost(shop: Api) -> None:
    """Every write that is accepted while its record is merged away reaches the survivor; no tombstone is raised."""
    for turn in range(6):
        a, b = await made(shop, f"u-{turn}"), await made(shop, f"v-{turn}")
        keys = ("title", "gender", "lastName", "email", "telephone", "preferredLocale")
        values = ("Ms", "Female", "Lovelace", "ada@example.com", "+44 20 7946 0000", "en-GB")
        writes = [
            shop.put(f"/customers/v-{turn}", {"firstName": "Ada", name: value})
            for name, value in zip(keys[:4], values[:4], strict=True)
        ]
        writes += [
            shop.request("PATCH", f"/v2/public/customers/external/v-{turn}", json={name: value})
            for name, value in zip(keys[4:], values[4:], strict=True)
        ]
        answers = await asyncio.gather(*writes[:3], merged(shop, a, b), *writes[3:])
        assert [each.status for each in answers] == [200] * 7
        record = await shown(shop, f"u-{turn}")
        assert [record[name] for name in keys] == list(values)
        tomb = await shown(shop, f"v-{turn}", "?includeDeleted=true")
        assert (tomb["mergedIntoId"], bool(tomb["deletedAt"])) == (a, True)
