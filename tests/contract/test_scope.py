"""Which records and changes a webhook is told of: filters, fields that are watched, and what came from there itself."""

from typing import Any

import pytest

from retailos.receiver import Behaviour, Received, Receiver
from retailos.sending.worker import LOOK_SECONDS
from tests.contract.conftest import Api, codes
from tests.contract.delivering import all_settled, settled, webhook, working


async def store(api: Api, name: str) -> None:
    """A store of this external id."""
    assert (await api.put(f"/stores/{name}", {"name": name})).status == 200


async def customer(api: Api, external_id: str = "c-1", **fields: Any) -> None:
    """Write a customer."""
    answer = await api.put(f"/customers/{external_id}", {"lastName": "Lovelace"} | fields)
    assert answer.status == 200, answer.body


def told(received: Received) -> tuple[str, str, str | None]:
    """Which record in which version, and what happened to it."""
    version = received.header("x-ra-record-version")
    return received.json()["customer"]["externalCustomerId"], version or "", received.header("x-ra-change")


async def test_only_some_records_are_told(api: Api) -> None:
    """With a filter only what passes it is told; what leaves is told once more, and is new when it returns."""
    async with Receiver.listen() as receiver, working(api):
        for name in ("uk", "ie", "fr"):
            await store(api, name)
        made = await webhook(api, receiver, where={"registeredAt.externalStoreId": ["uk", "ie"], "smsMarketing": True})
        at: list[dict[str, Any]] = [
            {"registeredAt": {"externalStoreId": name}, "smsMarketing": True} for name in ("fr", "uk", "ie", "fr")
        ]
        for i, fields in enumerate((*at, at[0] | {"title": "Dr"}, at[1])):
            await customer(api, **fields)
            # Changes that nobody is told of are settled without a request.
            await settled(api, made, "c-1", "skipped" if i in (0, 4) else "delivered")
        await customer(api, "c-2", **at[1] | {"smsMarketing": False})
        assert (await settled(api, made, "c-2", "skipped"))["attemptHistory"] == []
        assert [told(each) for each in receiver.received] == [
            *(("c-1", "2", "created"), ("c-1", "3", "updated"), ("c-1", "4", "left"), ("c-1", "6", "created"))
        ]
        assert receiver.received[2].json()["customer"]["registeredAt"]["externalStoreId"] == "fr"


async def test_only_some_changes_are_told(api: Api) -> None:
    """With watched fields a change is told when one of these is other than what the receiver acknowledged."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver, whenChanged=["email", "registeredAtId"])
        for i, fields in enumerate(({"email": "a@x.org"}, {"title": "Dr"}, {"email": "b@x.org"}, {"title": "Mx"})):
            await customer(api, **fields)
            await settled(api, made, "c-1", "skipped" if i in (1, 3) else "delivered")
        await api.request("DELETE", "/v2/public/customers/external/c-1")
        await receiver.expect(3)
        assert [told(each) for each in receiver.received] == [
            *(("c-1", "1", "created"), ("c-1", "3", "updated"), ("c-1", "5", "deleted"))
        ]


async def test_what_is_watched_is_compared_with_what_was_acknowledged(api: Api) -> None:
    """A field that changed while the webhook was paused is told even if the last change was of another field."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver, whenChanged=["email"])
        await customer(api, email="a@x.org")
        await settled(api, made, "c-1")
        await api.admin("PUT", f"/webhooks/{made}", json={"active": False})
        await customer(api, email="b@x.org")
        await customer(api, title="Dr")
        await api.admin("PUT", f"/webhooks/{made}", json={"active": True})
        await receiver.expect(2)
        assert [told(each)[1] for each in receiver.received] == ["1", "3"]


@pytest.mark.parametrize(
    ("answer", "more"),
    [
        (Behaviour(status=500), {}),
        (Behaviour(status=303), {}),
        (Behaviour(status=429), {}),
        (Behaviour(status=422), {}),
        (Behaviour(body=b"thanks"), {"batchSize": 2}),
        (Behaviour(body=b'{"results": []}'), {"batchSize": 2}),
    ],
)
async def test_what_was_refused_may_be_there_all_the_same(api: Api, answer: Behaviour, more: dict[str, Any]) -> None:
    """A field that goes back is told where the receiver may have stored what it did not acknowledge."""
    async with Receiver.listen() as receiver, working(api):
        if "batchSize" in more:
            more |= {"url": f"{receiver.url}/v1/retailos/customers"}
        made = await webhook(api, receiver, whenChanged=["email"], retryLimit=0, **more)
        await customer(api, email="a@x.org")
        await settled(api, made, "c-1")
        receiver.behave(answer)
        await customer(api, email="b@x.org")
        await settled(api, made, "c-1", "failed")
        receiver.behave(Behaviour())
        await customer(api, email="a@x.org")
        shown = await settled(api, made, "c-1")
        assert shown["acknowledged"] == 3
        assert b"a@x.org" in receiver.received[-1].body


async def test_what_was_refused_with_others_may_be_there_all_the_same(api: Api) -> None:
    """A field that goes back is told where a batch was refused whole, and its halves were not sent any more."""
    async with Receiver.listen() as receiver, working(api):
        url = f"{receiver.url}/v1/retailos/customers"
        made = await webhook(api, receiver, whenChanged=["email"], retryLimit=0, batchSize=2, batchWait=0.2, url=url)
        await customers(api, "a@x.org")
        await all_settled(api)
        before = receiver.count
        # Longer than a worker takes to hear that the webhook is paused, on a busy machine too.
        receiver.behave(Behaviour(status=422, delay_seconds=4 * LOOK_SECONDS))
        await customers(api, "b@x.org")
        await receiver.expect(before + 1)
        await api.admin("PUT", f"/webhooks/{made}", json={"active": False})
        await all_settled(api, "owed")
        receiver.behave(Behaviour())
        await customers(api, "a@x.org")
        await api.admin("PUT", f"/webhooks/{made}", json={"active": True})
        await all_settled(api)
        assert receiver.received[before].body.count(b"b@x.org") == 2
        told_last = b"".join(each.body for each in list(receiver.received)[before + 1 :])
        assert told_last.count(b"a@x.org") == 2


async def customers(api: Api, email: str) -> None:
    """Write two customers at once."""
    sent = [{"externalCustomerId": f"c-{i}", "email": email} for i in range(2)]
    assert (await api.put("/customers", {"customers": sent})).status == 200


async def test_what_left_and_may_have_come_back_leaves_again(api: Api) -> None:
    """A record whose return was not acknowledged is new until it is, and is told once more that it left."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver, where={"smsMarketing": True}, retryLimit=1)
        for there in (True, False):
            await customer(api, smsMarketing=there)
            await settled(api, made, "c-1")
        receiver.behave(Behaviour(status=500))
        await customer(api, smsMarketing=True)
        await settled(api, made, "c-1", "failed")
        receiver.behave(Behaviour())
        await customer(api, smsMarketing=False)
        await settled(api, made, "c-1")
        await customer(api, smsMarketing=False, title="Dr")
        await settled(api, made, "c-1", "skipped")
        assert [told(each)[1:] for each in receiver.received] == [
            *(("1", "created"), ("2", "left"), ("3", "created"), ("3", "created"), ("4", "left"))
        ]


async def test_what_was_never_taken_has_not_left(api: Api) -> None:
    """Who has refused a record, and has none of it, is not told that it left; who may have it is."""
    async with Receiver.listen(behaviour=Behaviour(status=422)) as receiver, working(api):
        made = await webhook(api, receiver, where={"smsMarketing": True}, retryLimit=0)
        for external_id, status, outcome in (("c-1", 422, "skipped"), ("c-2", 500, "delivered")):
            receiver.behave(Behaviour(status=status))
            await customer(api, external_id, smsMarketing=True)
            await settled(api, made, external_id, "failed")
            receiver.behave(Behaviour())
            await customer(api, external_id, smsMarketing=False)
            await settled(api, made, external_id, outcome)
        assert [told(each)[::2] for each in receiver.received] == [
            *(("c-1", "created"), ("c-2", "created"), ("c-2", "left"))
        ]


async def test_what_came_from_there_is_not_sent_back(api: Api) -> None:
    """What a key of the other system wrote is known there; anybody's change in between is told, and so is all of it."""
    erp = api.key.split("_")[2]
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver, suppressEcho=[erp])
        await customer(api, firstName="Ada")
        shown = await settled(api, made, "c-1", "skipped")
        assert (shown["acknowledged"], shown["attemptHistory"]) == (1, [])
        await api.put("/customers/c-1", {"lastName": "King"}, key=api.admin_key)
        await settled(api, made, "c-1")
        await customer(api, title="Dr")
        await settled(api, made, "c-1", "skipped")
        await api.admin("PUT", f"/webhooks/{made}", json={"active": False})
        await api.put("/customers/c-1", {"lastName": "Byron"}, key=api.admin_key)
        await customer(api, lastName="Byron", title="Mx")
        await api.admin("PUT", f"/webhooks/{made}", json={"active": True})
        await receiver.expect(2)
        assert [told(each)[1:] for each in receiver.received] == [("2", "updated"), ("5", "updated")]


async def test_what_was_made_otherwise_is_sent_back(api: Api) -> None:
    """A reference that was cleared for want of its record is not what was sent, so the other system is told."""
    async with Receiver.listen() as receiver, working(api):
        await webhook(api, receiver, suppressEcho=[api.key.split("_")[2]])
        reference = {"registeredAt": {"externalStoreId": "nowhere"}}
        answer = await api.put("/customers/c-1?onUnresolved=null", {"lastName": "L"} | reference)
        assert answer.status == 200, answer.body
        [received] = await receiver.expect(1)
        assert received.json()["customer"]["registeredAt"] is None


@pytest.mark.parametrize(
    ("fields", "path", "code"),
    [
        ({"where": {"teritoryId": "x"}}, "/where/teritoryId", "UNKNOWN_FIELD"),
        ({"where": {"territoryId": "x"}}, "/where/territoryId", "INVALID_VALUE"),
        ({"where": {"territoryId": []}}, "/where/territoryId", "WRONG_TYPE"),
        ({"where": {"territoryId": {"in": []}}}, "/where/territoryId", "WRONG_TYPE"),
        ({"where": {"smsMarketing": None}}, "/where/smsMarketing", "INVALID_VALUE"),
        ({"where": {"smsMarketing": [[True]]}}, "/where/smsMarketing", "INVALID_VALUE"),
        ({"where": ["smsMarketing"]}, "/where", "WRONG_TYPE"),
        ({"where": {"details": "x"}}, "/where/details", "UNKNOWN_FIELD"),
        ({"whenChanged": ["email", "registeredAt"]}, "/whenChanged/1", "UNKNOWN_FIELD"),
        ({"whenChanged": "email"}, "/whenChanged", "WRONG_TYPE"),
        ({"suppressEcho": ["0123456789"]}, "/suppressEcho/0", "UNKNOWN_KEY"),
        ({"suppressEcho": ["short"]}, "/suppressEcho/0", "TOO_SHORT"),
        ({"sends": "some"}, "/sends", "UNKNOWN_CHOICE"),
        ({"onExhausted": "drop"}, "/onExhausted", "UNKNOWN_CHOICE"),
    ],
)
async def test_a_scope_is_checked_when_it_is_saved(shop: Api, fields: Any, path: str, code: str) -> None:
    """A filter of what there is not, a value that no record can have, and a key that nobody has are refused."""
    least = {"name": "w", "resource": "customer", "url": "http://127.0.0.1:9/{externalCustomerId}"}
    answer = await shop.admin("POST", "/webhooks", json=least | fields)
    assert (answer.status, codes(answer)) == (400, [(path, code)])
