"""A webhook that sends every change: each in its order, from its own snapshot, whatever the record is by then."""

from retailos.receiver import Behaviour, Received, Receiver
from tests.conftest import eventually
from tests.contract.conftest import Api
from tests.contract.delivering import delivery, settled, webhook, working

NAMES = ("Ada", "Augusta", "Grace", "Jean")


def told(received: Received) -> tuple[str, str, str | None]:
    """Which version of a record, as what it was called then, and what happened to it."""
    version, change = (received.header(f"x-ra-{name}") for name in ("record-version", "change"))
    return version or "", received.json()["customer"]["firstName"], change


def refuses(*versions: str) -> "Refusal":
    """A receiver that refuses some versions."""
    return Refusal(versions)


class Refusal:
    """Refuses versions for as long as they are among these."""

    def __init__(self, versions: tuple[str, ...]) -> None:
        self.versions = versions

    def __call__(self, received: Received) -> Behaviour:
        """Answer one request."""
        return Behaviour(status=500 if received.header("x-ra-record-version") in self.versions else 200)


async def written(api: Api, external_id: str = "c-1") -> None:
    """Write a customer four times."""
    for name in NAMES:
        assert (await api.put(f"/customers/{external_id}", {"firstName": name})).status == 200


async def test_each_change_is_sent_in_order(api: Api) -> None:
    """What happened while nothing was sent goes out one by one, the object as it was, its projections as they are."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver, sends="every", active=False)
        await api.put("/stores/s-1", {"name": "Before"})
        await api.put("/customers/c-1", {"firstName": "Nobody", "registeredAt": {"externalStoreId": "s-1"}})
        await written(api)
        await api.request("DELETE", "/v2/public/customers/external/c-1")
        await api.put("/stores/s-1", {"name": "After"})
        await api.admin("PUT", f"/webhooks/{made}", json={"active": True})
        await receiver.expect(6)
        shown = await settled(api, made, "c-1")
    assert [told(each) for each in receiver.received] == [
        ("1", "Nobody", "created"),
        *((str(i), name, "updated") for i, name in enumerate(NAMES, start=2)),
        ("6", "Jean", "deleted"),
    ]
    sent = [each.json()["customer"] for each in receiver.received]
    assert [each["version"] for each in sent] == [1, 2, 3, 4, 5, 6]
    assert [each["deletedAt"] is None for each in sent] == [True] * 5 + [False]
    assert {each["registeredAt"]["name"] for each in sent} == {"After"}
    assert (shown["acknowledged"], shown["wanted"]) == (6, 6)


async def test_a_change_that_is_retried_is_waited_for(api: Api) -> None:
    """Later changes of a record wait for one that is attempted again, other records do not; its attempts go on."""
    refusal = refuses("2")
    async with Receiver.listen(behaviour=refusal) as receiver, working(api):
        made = await webhook(api, receiver, sends="every", retryLimit=100, retryBackoff=False)
        await api.put("/customers/c-1", {"firstName": "Ada"})
        await settled(api, made, "c-1")
        await api.put("/customers/c-1", {"firstName": "Augusta"})

        async def attempted() -> bool:
            return int((await delivery(api, made, "c-1"))["attempts"]) >= 2

        assert await eventually(attempted)
        await api.put("/customers/c-1", {"firstName": "Grace"})
        assert (await delivery(api, made, "c-1"))["attempts"] >= 2, "a newer change is no new beginning"
        await api.put("/customers/c-2", {"firstName": "Else"})
        await settled(api, made, "c-2")
        refusal.versions = ()
        await settled(api, made, "c-1")
        versions = [told(each)[0] for each in receiver.received if each.path.endswith("/c-1")]
    assert versions[-1] == "3"
    assert versions == sorted(versions)
    assert versions.count("3") == 1


async def test_a_record_is_held_until_it_is_requeued(api: Api) -> None:
    """With `hold` a change that failed for good keeps back what follows, until somebody requeues it."""
    refusal = refuses("1")
    async with Receiver.listen(behaviour=refusal) as receiver, working(api):
        made = await webhook(api, receiver, sends="every", retryLimit=1, retryDelay=0)
        await api.put("/customers/c-1", {"firstName": "Ada"})
        await settled(api, made, "c-1", "failed")
        await api.put("/customers/c-1", {"firstName": "Augusta"})
        held = await settled(api, made, "c-1", "failed")
        assert (held["attempts"], held["acknowledged"], held["wanted"]) == (2, 0, 2)
        refusal.versions = ()
        assert (await api.admin("POST", "/requeues", json={"webhook": made})).status in (200, 202)
        await settled(api, made, "c-1")
        assert [told(each) for each in receiver.received] == [
            *(("1", "Ada", "created"), ("1", "Ada", "created"), ("1", "Ada", "created"), ("2", "Augusta", "updated"))
        ]


async def test_a_change_that_failed_may_be_passed_over(api: Api) -> None:
    """With `skip` the next change goes out after one that failed for good, whose attempts stay to be seen."""
    refusal = refuses("2", "4")
    async with Receiver.listen(behaviour=refusal) as receiver, working(api):
        made = await webhook(api, receiver, sends="every", onExhausted="skip", retryLimit=1, retryDelay=0, active=False)
        await written(api)
        await api.admin("PUT", f"/webhooks/{made}", json={"active": True})
        last = await settled(api, made, "c-1", "failed")
        assert [told(each)[0] for each in receiver.received] == ["1", "2", "2", "3", "4", "4"]
        assert (last["acknowledged"], last["wanted"]) == (3, 4)
        failed = [each["version"] for each in last["attemptHistory"] if each["errorClass"]]
        assert sorted(failed) == [2, 2, 4, 4]
        # The last one stays failed until something comes after it.
        await api.put("/customers/c-1", {"firstName": "Mary"})
        await settled(api, made, "c-1")
        assert told(receiver.received[-1]) == ("5", "Mary", "updated")


async def test_a_requeue_of_what_was_passed_over_sends_what_the_record_is(api: Api) -> None:
    """Where nothing follows a change that was passed over, a requeue sends it once more."""
    refusal = refuses("1")
    async with Receiver.listen(behaviour=refusal) as receiver, working(api):
        made = await webhook(api, receiver, sends="every", onExhausted="skip", retryLimit=0)
        await api.put("/customers/c-1", {"firstName": "Ada"})
        await settled(api, made, "c-1", "failed")
        refusal.versions = ()
        await api.admin("POST", "/requeues", json={"webhook": made})
        await settled(api, made, "c-1")
        assert [told(each)[0] for each in receiver.received] == ["1", "1"]


async def test_what_no_snapshot_shows_goes_out_with_what_follows(api: Api) -> None:
    """What happened before every change was asked for, and what is forgotten, goes out as the record is afterwards."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver, active=False)
        await written(api)
        await api.admin("PUT", f"/webhooks/{made}", json={"sends": "every"})
        for name in ("Mary", "Joan", "Emmy"):
            await api.put("/customers/c-1", {"firstName": name})
        async with api.engine.pool.acquire() as connection:
            await connection.execute("delete from change where version = 6")
        await api.admin("PUT", f"/webhooks/{made}", json={"active": True})
        await settled(api, made, "c-1")
        assert [told(each)[:2] for each in receiver.received] == [("5", "Mary"), ("7", "Emmy")]
        await api.admin("PUT", f"/webhooks/{made}", json={"sends": "latest", "active": False})
        await written(api)
        await api.admin("PUT", f"/webhooks/{made}", json={"active": True})
        await settled(api, made, "c-1")
        assert told(receiver.received[-1])[:2] == ("11", "Jean")
        assert receiver.count == 3
