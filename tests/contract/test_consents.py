"""Consents: each flip of a marketing flag is evidence, written down with the change itself, and stays as it was."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from retailos.receiver import Receiver
from retailos.resources.parts import MARKETING
from tests.contract.conftest import TIMESTAMP, Api, check_envelope
from tests.contract.delivering import webhook, working

ADA = {"firstName": "Ada"}


async def events(api: Api, key: str) -> list[tuple[str, bool]]:
    """The flips of a customer's flags in the order in which they were written down, flags of one change by name."""
    path = f"/consent-events?customer.externalCustomerId={key}&sort=occurredAt,id"
    rows = (await api.get(path)).result["rows"]
    return [(each["channel"], each["granted"]) for each in sorted(rows, key=lambda e: (e["occurredAt"], e["channel"]))]


async def test_a_flip_is_written_down_with_the_change(shop: Api, number: int) -> None:
    """A flag that is set on a new customer, that turns and that turns back each make an event; others make none."""
    path, key = f"/customers/flips-{number}", f"flips-{number}"
    await shop.put(path, ADA | {"smsMarketing": True, "emailMarketing": False})
    assert await events(shop, key) == [("smsMarketing", True)]
    for same in (ADA, ADA | {"smsMarketing": True, "lastName": "King"}, ADA | {"postMarketing": None}):
        assert (await shop.put(path, same)).status == 200
        assert await events(shop, key) == [("smsMarketing", True)]
    await shop.put(path, ADA | {"smsMarketing": False, "emailMarketing": True})
    flipped = [("emailMarketing", True), ("smsMarketing", False)]
    assert await events(shop, key) == [("smsMarketing", True), *flipped]
    await shop.request("PATCH", f"/v2/public/customers/external/{key}", json={"emailMarketing": False})
    assert await events(shop, key) == [("smsMarketing", True), *flipped, ("emailMarketing", False)]
    await shop.put(f"{path}?mode=replace", ADA | {"generalMarketing": True})
    await shop.put(f"{path}?mode=replace", ADA)
    assert (await events(shop, key))[-2:] == [("generalMarketing", True), ("generalMarketing", False)]


async def test_an_event_is_a_record_like_any_other(api: Api) -> None:
    """An event is counted, found by its id, told to webhooks, and in the change feed with its customer."""
    async with Receiver.listen() as receiver, working(api):
        await webhook(api, receiver, "consentEvent")
        await api.put("/customers/c-1", ADA | dict.fromkeys(MARKETING, True))
        await receiver.expect(6)
        told = [each.json()["consentEvent"] for each in receiver.received]
    assert {each["channel"] for each in told} == set(MARKETING)
    [first, *_] = told
    assert first["externalConsentEventId"] == first["id"]
    assert UUID(first["id"]).version == 7
    assert (first["granted"], first["source"], first["version"]) == (True, "customer", 1)
    assert TIMESTAMP.fullmatch(first["occurredAt"])
    assert first["customer"]["externalCustomerId"] == "c-1"
    assert (await api.get(f"/consent-events/{first['id']}")).result["channel"] == first["channel"]
    assert (await api.get("/consent-events?limit=0")).result["count"] == 6
    feed = (await api.get("/changes?since=beginning&limit=100")).result["rows"]
    assert sorted(each["resource"] for each in feed) == ["consentEvent"] * 6 + ["customer"]
    assert len({each["id"] for each in feed}) == 7


async def test_writers_at_once_write_down_each_flip_once(shop: Api, number: int) -> None:
    """Whoever writes at once, a flag turns once for each event, and events alternate."""
    path, key = f"/customers/at-once-{number}", f"at-once-{number}"
    await shop.put(path, ADA)
    for granted in (True, False, True):
        puts = [shop.put(path, ADA | {"smsMarketing": granted, "details": {"i": i}}) for i in range(6)]
        patch = {"smsMarketing": granted}
        patches = [shop.request("PATCH", f"/v2/public/customers/external/{key}", json=patch) for _ in range(6)]
        assert {each.status for each in await asyncio.gather(*puts, *patches)} == {200}
    assert await events(shop, key) == [("smsMarketing", True), ("smsMarketing", False), ("smsMarketing", True)]


async def test_a_trial_and_a_refusal_write_nothing_down(shop: Api, number: int) -> None:
    """What was not written has flipped nothing."""
    path = f"/customers/trial-{number}"
    assert (await shop.put(f"{path}?dryRun=true", ADA | {"smsMarketing": True})).status == 200
    assert (await shop.put(path, ADA | {"smsMarketing": True, "email": "x"})).status == 400
    await shop.put(path, ADA | {"smsMarketing": True, "sourceUpdatedAt": "2026-01-02T00:00:00Z"})
    stale = await shop.put(path, ADA | {"smsMarketing": False, "sourceUpdatedAt": "2026-01-01T00:00:00Z"})
    assert stale.result[0]["outcome"] == "stale"
    assert await events(shop, f"trial-{number}") == [("smsMarketing", True)]


@pytest.fixture
async def evidence(shop: Api, number: int) -> tuple[str, dict[str, Any]]:
    """An event that was sent: its path and its body."""
    await shop.put(f"/customers/witness-{number}", ADA)
    path = f"/consent-events/e-{number}"
    body = {
        "customer": {"externalCustomerId": f"witness-{number}"},
        "channel": "postMarketing",
        "granted": True,
        "occurredAt": "2026-11-27T10:00:00.000Z",
        "source": "till",
    }
    assert (await shop.put(path, body)).result[0]["outcome"] == "created"
    return path, body


async def test_an_event_stays_as_it_was_written(shop: Api, evidence: tuple[str, dict[str, Any]]) -> None:
    """The same again is unchanged; anything else is refused, by whatever route it comes, and changes nothing."""
    path, body = evidence
    before = (await shop.get(path)).result
    again = await shop.put(path, body | {"evidence": None, "details": {}})
    assert again.result[0]["outcome"] == "unchanged"
    key, other = path.rpartition("/")[2], body | {"granted": False}
    refused = [
        await shop.put(path, other),
        await shop.put(f"{path}?dryRun=true", other),
        await shop.put(f"/consent-events/id/{before['id']}", other),
        await shop.request("PATCH", f"/v2/public/consent-events/external/{key}", json={"source": "web form"}),
    ]
    for each in refused:
        envelope = check_envelope(each, 409)
        assert (envelope["error"]["code"], envelope["error"]["details"]) == (
            "WRITTEN_ONCE",
            {"resourceId": before["id"]},
        )
    assert (await shop.get(path)).result == before
    await shop.request("DELETE", f"/v2/public/consent-events/external/{key}")
    assert (await shop.put(path, other)).error["code"] == "WRITTEN_ONCE"
    assert (await shop.put(path, body)).result[0]["outcome"] == "undeleted"


async def test_many_events_are_written_once_each(shop: Api, evidence: tuple[str, dict[str, Any]]) -> None:
    """In a batch the one that differs fails alone, or with it all of them where that was asked for."""
    path, body = evidence
    key = path.rpartition("/")[2]
    sent = [
        body | {"externalConsentEventId": key, "granted": False},
        body | {"externalConsentEventId": f"{key}-new"},
    ]
    stored = await shop.stored()
    whole = await shop.put("/consent-events?errorPolicy=rejectEverything", {"consentEvents": sent})
    assert (whole.status, whole.error["code"]) == (409, "WRITTEN_ONCE")
    assert await shop.stored() == stored
    each = await shop.put("/consent-events", {"consentEvents": sent})
    assert [job["status"] for job in each.result] == ["failed", "completed"]
    assert each.result[0]["error"]["code"] == "WRITTEN_ONCE"
