"""One webhook and one record: tried without effect, told once more, and explained."""

from typing import Any

from retailos.receiver import Behaviour, Receiver
from tests.conftest import eventually
from tests.contract.conftest import Api, check_envelope, codes
from tests.contract.delivering import delivery, settled, webhook, working

ADA = {"firstName": "Ada", "lastName": "Lovelace"}
SECRET = "API_KEY very-secret"


async def test_a_test_is_sent_and_leaves_no_trace(api: Api) -> None:
    """The request is shown with its secrets hidden, sent if wanted with them, its answer shown, and nothing is owed."""
    behaviour = Behaviour(status=422, body=b'{"error": "no such customer"}')
    async with Receiver.listen(behaviour=behaviour) as receiver:
        made = await webhook(api, receiver, active=False, headers={"Authorization": SECRET})
        path = f"/webhooks/{made}/test"
        assert (await api.admin("POST", path, json={})).status == 404
        await api.put("/customers/c-1", ADA)
        await api.put("/customers/c-2", ADA)
        before = await api.stored()
        shown = check_envelope(await api.admin("POST", path, json={"externalId": "c-1", "dryRun": True}), 200)["result"]
        assert (shown["method"], shown["url"], shown["sent"]) == (
            "PUT",
            f"{receiver.url}/v1/retailos/customer/c-1",
            False,
        )
        assert shown["body"]["customer"]["firstName"] == "Ada"
        assert (["Authorization", "***"] in shown["headers"], shown["status"]) == (True, None)
        assert receiver.count == 0
        tried = await api.admin("POST", path, json={})
        assert SECRET.encode() not in tried.body
        assert (tried.result["status"], tried.result["errorClass"], tried.result["sent"]) == (422, "http_4xx", True)
        assert tried.result["responseBody"] == {"error": "no such customer"}
        assert (receiver.received[0].path[-3:], receiver.received[0].header("Authorization")) == ("c-2", SECRET)
        assert await api.stored() == before
        assert (await delivery(api, made, "c-1"))["attempts"] == 0
        both = {"externalId": "c-1", "recordId": shown["recordId"]}
        assert codes(await api.admin("POST", path, json=both)) == [("/recordId", "REFERENCE_CONFLICT")]
        assert (await api.admin("POST", path, json={"externalId": "nobody"})).status == 404


async def test_one_record_is_told_once_more(api: Api) -> None:
    """A trigger sends a record that the receiver has acknowledged already, in its newest state."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver)
        await api.put("/customers/c-1", ADA)
        shown = await settled(api, made, "c-1")
        answer = await api.admin("POST", f"/webhooks/{made}/trigger", json={"externalId": "c-1"})
        assert check_envelope(answer, 200)["result"] == {
            "deliveryId": shown["id"],
            "recordId": shown["recordId"],
            "version": 1,
        }
        await receiver.expect(2)
        assert receiver.received[1].header("X-Ra-Record-Version") == "1"


async def test_what_happened_is_explained(api: Api) -> None:
    """The story tells each change with its key, each attempt, and how it ended, in order."""
    async with Receiver.listen(behaviour=Behaviour(status=503)) as receiver, working(api):
        made = await webhook(api, receiver, retryLimit=1, retryDelay=0.05)
        await api.put("/customers/c-1", ADA)
        await settled(api, made, "c-1", "failed")
        path = f"/webhooks/{made}/explain?externalId=c-1"
        story = check_envelope(await api.admin("GET", path), 200)["result"]
        texts = [each["text"] for each in story["happenings"]]
        assert texts[0].startswith("v1: create by key ")
        assert texts[1:] == ["v1: 503 twice", "v1: failed"]
        receiver.behave(Behaviour())
        await api.put("/customers/c-1", ADA | {"title": "Ms"})
        await settled(api, made, "c-1")
        story = (await api.admin("GET", path)).result
        texts = [each["text"] for each in story["happenings"]]
        assert texts[2].endswith("; it joined v1")
        assert texts[3:] == ["v2: delivered"]
        assert (story["status"], story["wanted"], story["acknowledged"]) == ("delivered", 2, 2)
        assert codes(await api.admin("GET", f"/webhooks/{made}/explain")) == [("externalId", "REQUIRED")]
        assert (await api.admin("GET", f"/webhooks/{made}/explain?externalId=nobody")).status == 404


async def test_why_nothing_is_sent_is_explained(api: Api) -> None:
    """Of what is skipped the delivery says why, and the story as well; once something is sent, neither does."""
    erp = api.key.split("_")[2]
    told: tuple[dict[str, Any], ...] = (
        {"name": "filtered", "where": {"smsMarketing": True}},
        {"name": "unchanged", "whenChanged": ["email"]},
        {"name": "echo", "suppressEcho": [erp]},
    )
    async with Receiver.listen() as receiver, working(api):
        made = [await webhook(api, receiver, **each) for each in told]
        await api.put("/customers/c-1", ADA)
        await settled(api, made[1], "c-1")
        await api.put("/customers/c-1", ADA | {"title": "Ms"})
        reasons = (
            "it is none of the records that the webhook is told of",
            "all that the webhook watches is as its receiver was told",
            "it came from the receiver's own system",
        )
        for each, why, reason in zip(made, ("filtered", "unchanged", "echo"), reasons, strict=True):
            shown = await settled(api, each, "c-1", "skipped")
            assert (shown["wanted"], shown["skippedWhy"], shown["errorClass"]) == (2, why, None)
            assert (await happened(api, each))[-1] == f"v2: not sent: {reason}"
        changed = ADA | {"smsMarketing": True, "email": "ada@example.com"}
        assert (await api.put("/customers/c-1", changed, key=api.admin_key)).status == 200
        for each in made:
            assert (await settled(api, each, "c-1"))["skippedWhy"] is None
            assert (await happened(api, each))[-1] == "v3: delivered"


async def happened(api: Api, webhook_id: int) -> list[str]:
    """The story of the record c-1 on its way to a webhook."""
    answer = await api.admin("GET", f"/webhooks/{webhook_id}/explain?externalId=c-1")
    return [each["text"] for each in check_envelope(answer, 200)["result"]["happenings"]]


async def test_what_a_webhook_is_not_told_of_is_not_triggered(api: Api) -> None:
    """Nothing would be sent of a record that does not match: that is said at once, unless its receiver may have it."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver, where={"smsMarketing": True})
        await api.put("/customers/c-1", ADA)
        shown = await settled(api, made, "c-1", "skipped")
        path = f"/webhooks/{made}/trigger"
        for said, at in (({"externalId": "c-1"}, "/externalId"), ({"recordId": shown["recordId"]}, "/recordId")):
            assert codes(await api.admin("POST", path, json=said)) == [(at, "NOT_TOLD")]
        assert await delivery(api, made, "c-1") == shown
        for there in (True, False):
            await api.put("/customers/c-1", ADA | {"smsMarketing": there})
            await settled(api, made, "c-1")
        assert codes(await api.admin("POST", path, json={})) == [("", "NOT_TOLD")]
        receiver.behave(Behaviour(status=500))
        await api.put("/customers/c-1", ADA | {"smsMarketing": True})
        await settled(api, made, "c-1", "failed")
        await api.admin("POST", f"/webhooks/{made}/pause")
        await api.put("/customers/c-1", ADA | {"smsMarketing": False})
        assert (await api.admin("POST", path, json={"externalId": "c-1"})).status == 200
        receiver.behave(Behaviour())
        await api.admin("POST", f"/webhooks/{made}/resume")
        await settled(api, made, "c-1")
        assert receiver.received[-1].header("X-Ra-Change") == "left"


async def test_what_failed_is_requeued_when_the_breaker_closes(api: Api) -> None:
    """What had failed before the breaker opened is owed again when something gets through; or not, if so said."""
    for on in (True, False):
        async with Receiver.listen(behaviour=Behaviour(status=503)) as receiver, working(api):
            told: dict[str, Any] = {"retryLimit": 0, "breaker": "on", "breakerFailures": 2, "requeueOnRecovery": on}
            made = await webhook(api, receiver, name=f"recovery-{on}", breakerProbe=1, **told)
            await api.put(f"/customers/{on}-0", ADA)
            await settled(api, made, f"{on}-0", "failed")
            for i in (1, 2):
                await api.put(f"/customers/{on}-{i}", ADA)

            async def held(made: int = made) -> bool:
                return bool((await api.admin("GET", f"/webhooks/{made}")).result["heldSince"])

            assert await eventually(held)
            receiver.behave(Behaviour())
            await settled(api, made, f"{on}-2")
            if on:
                await settled(api, made, f"{on}-0")
            else:
                assert (await delivery(api, made, f"{on}-0"))["status"] == "failed"
            await api.admin("DELETE", f"/webhooks/{made}")
