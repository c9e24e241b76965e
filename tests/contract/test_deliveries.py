"""What webhooks send: which request, to which URL, with which body, when, and in which order."""

from random import Random
from typing import Any
from urllib.parse import quote

import pytest

from retailos.receiver import Behaviour, Received, Receiver
from retailos.resources import RESOURCES
from tests.conftest import eventually
from tests.contract.conftest import ORDER, TIMESTAMP, Api, full, ground, least
from tests.contract.delivering import all_settled, delivery, settled, webhook, working

ADA = {"firstName": "Ada", "lastName": "Lovelace"}


def versions(received: Received) -> tuple[str, int]:
    """The record and the version that a request tells of."""
    return received.path, int(received.header("x-ra-record-version") or 0)


async def test_a_change_is_put_to_the_templated_url(api: Api) -> None:
    """The guide's receiver gets a PUT to its URL with the whole customer under its name, and its answer is kept."""

    def express(received: Received) -> Behaviour:
        customer = received.json()["customer"]["externalCustomerId"]
        return Behaviour(body=b'{"customerId":"%s"}' % customer.encode(), headers=(("X-Powered-By", "Express"),))

    async with Receiver.listen(behaviour=express) as receiver, working(api):
        made = await webhook(api, receiver, headers={"Authorization": "API_KEY of-theirs", "X-Team": "erp"})
        await api.put("/stores/s-1", {"name": "Covent Garden"})
        sent = ADA | {"registeredAt": {"externalStoreId": "s-1"}}
        put = await api.put("/customers/example-customer-id", sent)
        [received] = await receiver.expect(1)
        shown = await settled(api, made, "example-customer-id")
    assert (received.method, received.path) == ("PUT", "/v1/retailos/customer/example-customer-id")
    assert list(received.json()) == ["customer"]
    told = (await api.get("/customers/example-customer-id?expand=registeredBy,registeredAt,territory")).result
    assert list(received.json()["customer"].items()) == list(told.items())
    assert received.json()["customer"]["registeredAt"]["externalStoreId"] == "s-1"
    expected = {"content-type": "application/json", "accept": "application/json", "authorization": "API_KEY of-theirs"}
    expected |= {"x-team": "erp", "x-ra-attempt": "1", "x-ra-record-version": "1", "x-ra-resource": "customer"}
    expected |= {"x-ra-change": "created", "x-ra-delivery-id": f"{made}-{put.result[0]['resourceId']}"}
    assert {name: received.header(name) for name in expected} == expected
    [attempt] = shown["attemptHistory"]
    assert received.header("x-ra-request-id") == attempt["requestId"]
    assert attempt["responseBody"] == {"customerId": "example-customer-id"}
    assert ["x-powered-by", "Express"] in attempt["responseHeaders"]


@pytest.mark.parametrize(
    "external_id",
    ["a/b", "john.d@example.com", "😀", "a b", "a+b", "a%2Fb", "{id}", "a?b#c&d=e", "…", "...", "<b>'\"", "x" * 255],
)
async def test_any_external_id_is_one_segment_of_the_url(shop: Api, external_id: str) -> None:
    """An external id stands percent-encoded in the URL, as one segment, whatever its characters."""
    async with Receiver.listen() as receiver, working(shop):
        made = await webhook(shop, receiver)
        assert (await shop.put(f"/customers/{quote(external_id, safe='')}", ADA)).status == 200
        [received] = await receiver.expect(1)
        await shop.admin("DELETE", f"/webhooks/{made}")
    assert received.path == f"/v1/retailos/customer/{quote(external_id, safe='')}"
    assert received.json()["customer"]["externalCustomerId"] == external_id


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
async def test_method_and_url_are_the_webhooks(api: Api, method: str) -> None:
    """The method can be chosen, and any plain field of the record can stand in the URL, in path and query."""
    async with Receiver.listen() as receiver, working(api):
        url = f"{receiver.url}/{{id}}/{{lastName}}/{{generalMarketing}}?version={{version}}&id={{externalCustomerId}}"
        await webhook(api, receiver, method=method, url=url)
        put = await api.put("/customers/c%2F1", {"lastName": "O'Neill & Söhne", "generalMarketing": True})
        [received] = await receiver.expect(1)
    assert received.method == method
    name = quote("O'Neill & Söhne", safe="")
    assert received.path == f"/{put.result[0]['resourceId']}/{name}/true?version=1&id=c%2F1"


async def test_a_record_that_the_url_can_not_name_fails_until_it_changes(api: Api) -> None:
    """A record without a value for the URL fails without a request; once it has one, it is delivered."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver, url=f"{receiver.url}/{{lastName}}")
        await api.put("/customers/c-1", {"firstName": "Ada"})
        shown = await settled(api, made, "c-1", "failed")
        assert (shown["errorClass"], receiver.count) == ("invalid_request", 0)
        await api.put("/customers/c-1", {"firstName": "Ada", "lastName": ".."})
        assert (await settled(api, made, "c-1", "failed"))["errorClass"] == "invalid_request"
        await api.put("/customers/c-1", {"firstName": "Ada", "lastName": "Lovelace"})
        await settled(api, made, "c-1")
        assert [received.path for received in receiver.received] == ["/Lovelace"]


async def test_created_and_updated_are_told_apart(api: Api) -> None:
    """A new record has equal moments and is told as created; later ones differ and are told as updated."""
    async with Receiver.listen() as receiver, working(api):
        await webhook(api, receiver)
        for i in range(3):
            await api.put("/customers/c-1", ADA | {"details": {"i": i}})
            await receiver.expect(i + 1)
        first, *later = receiver.received
    customer = first.json()["customer"]
    assert TIMESTAMP.fullmatch(customer["createdAt"])
    assert customer["createdAt"] == customer["updatedAt"]
    assert [each.header("x-ra-change") for each in receiver.received] == ["created", "updated", "updated"]
    assert [versions(each)[1] for each in receiver.received] == [1, 2, 3]
    for each in later:
        customer = each.json()["customer"]
        assert customer["createdAt"] < customer["updatedAt"]


async def test_what_changes_nothing_is_not_sent(api: Api) -> None:
    """An upsert that leaves its record as it was owes nobody anything, or two systems would echo for ever."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver)
        await api.put("/customers/c-1", ADA)
        await settled(api, made, "c-1")
        before = await api.stored()
        for sent in (ADA, ADA | {"smsMarketing": False}, receiver.received[0].json()):
            assert (await api.put("/customers/c-1", sent)).result[0]["outcome"] == "unchanged"
        after = await api.stored()
        assert {name: after[name] for name in ("due", "delivery", "change")} == {
            name: before[name] for name in ("due", "delivery", "change")
        }
        await api.put("/customers/c-2", ADA)
        await receiver.expect(2)
        assert [received.path.rpartition("/")[2] for received in receiver.received] == ["c-1", "c-2"]


async def test_a_delivered_body_comes_back_unchanged_for_every_resource(api: Api) -> None:
    """Whatever a webhook delivered can be PUT back as it came, and ends unchanged."""
    known: dict[str, list[str]] = {name: [] for name in RESOURCES}
    async with Receiver.listen() as receiver, working(api):
        for name in RESOURCES:
            await webhook(api, receiver, name, concurrency=4)
        for name in ORDER:
            for number in range(4):
                sent = full(RESOURCES[name], number, known)
                key = sent[RESOURCES[name].external_id.name]
                assert (await api.put(f"/{RESOURCES[name].collection}/{key}", sent)).status == 200
                known[name].append(key)
        await receiver.expect(4 * len(RESOURCES))
        await all_settled(api)
        told = receiver.count
        assert {next(iter(received.json())) for received in receiver.received} == set(RESOURCES)
        for received in list(receiver.received):
            [name] = received.json()
            segment = received.path.rpartition("/")[2]
            put = await api.request("PUT", f"/v2/public/{RESOURCES[name].collection}/{segment}", body=received.body)
            assert [job["outcome"] for job in put.result] == ["unchanged"], put.body
        await all_settled(api)
        assert receiver.count == told


@pytest.mark.parametrize("name", list(RESOURCES))
async def test_the_entire_object_is_sent(shop: Api, name: str) -> None:
    """A delivery carries every field that a record has, and the objects of the relations that go with it."""
    resource = RESOURCES[name]
    async with Receiver.listen() as receiver, working(shop):
        number = list(RESOURCES).index(name)
        await ground(shop, resource, number)
        made = await webhook(shop, receiver, name)
        assert (await shop.put(f"/{resource.collection}/entire", least(resource, number))).status == 200
        [received] = await receiver.expect(1)
        await shop.admin("DELETE", f"/webhooks/{made}")
    expected = [
        each.name for each in resource.shown if each.name in resource.fields or each.name in resource.webhook_relations
    ]
    assert list(received.json()[name]) == expected
    if name == "customer":
        assert resource.webhook_relations == ("registeredBy", "registeredAt", "territory")


async def test_each_webhook_of_the_resource_is_told(api: Api) -> None:
    """A change goes to every webhook of its resource and to no other, each with its own register."""
    async with Receiver.listen() as one, Receiver.listen() as two, Receiver.listen() as other, working(api):
        first, second = await webhook(api, one, name="one"), await webhook(api, two, name="two")
        await webhook(api, other, "store")
        await api.put("/customers/c-1", ADA)
        shown = [await settled(api, each, "c-1") for each in (first, second)]
        assert (one.count, two.count, other.count) == (1, 1, 0)
        assert [each["queueName"] for each in shown] == ["webhook:customer:one", "webhook:customer:two"]
        await api.put("/stores/s-1", {"name": "X"})
        await other.expect(1)
        assert (one.count, two.count) == (1, 1)


async def test_a_webhook_is_told_of_what_happens_from_then_on(api: Api) -> None:
    """A new webhook is owed what changes after it was added; a record that it never saw is new to it."""
    await api.put("/customers/old", ADA)
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver)
        await api.put("/customers/new", ADA)
        await settled(api, made, "new")
        await api.put("/customers/old", ADA | {"title": "Ms"})
        shown = await settled(api, made, "old")
    assert [received.path.rpartition("/")[2] for received in receiver.received] == ["new", "old"]
    assert receiver.received[1].header("x-ra-change") == "created"
    assert (shown["wanted"], shown["acknowledged"]) == (2, 2)


async def test_a_related_record_that_changes_sends_nothing_of_others(api: Api) -> None:
    """Renaming a store tells nobody of its customers, whose own moments stay as they are."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver)
        await api.put("/stores/s-1", {"name": "Old"})
        await api.put("/customers/c-1", ADA | {"registeredAt": {"externalStoreId": "s-1"}})
        await settled(api, made, "c-1")
        await api.put("/stores/s-1", {"name": "New"})
        await api.put("/customers/c-2", ADA)
        await settled(api, made, "c-2")
        assert receiver.count == 2
        assert (await api.get("/customers/c-1?expand=registeredAt")).result["registeredAt"]["name"] == "New"


async def test_a_paused_webhook_gets_the_newest_state_afterwards(api: Api) -> None:
    """While a webhook is inactive, what it is owed accumulates by the record; then the newest state is sent."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver)
        await api.admin("PUT", f"/webhooks/{made}", json={"active": False})
        for i in range(5):
            for key in ("a", "b"):
                await api.put(f"/customers/{key}", ADA | {"details": {"i": i}})
        shown = await delivery(api, made, "a")
        assert (shown["status"], shown["wanted"], shown["acknowledged"], shown["attemptHistory"]) == ("owed", 5, 0, [])
        assert receiver.count == 0
        await api.admin("PUT", f"/webhooks/{made}", json={"active": True})
        await all_settled(api)
        assert {
            received.path.rpartition("/")[2]: received.json()["customer"]["details"] for received in receiver.received
        } == {
            "a": {"i": 4},
            "b": {"i": 4},
        }
        assert receiver.count == 2


async def test_a_changed_webhook_is_obeyed_from_the_next_request_on(api: Api) -> None:
    """A new URL, new headers and a new method hold for what is sent after the change."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver, headers={"X-Old": "1"})
        await api.put("/customers/c-1", ADA)
        await settled(api, made, "c-1")
        changed = {"url": f"{receiver.url}/new/{{externalCustomerId}}", "method": "POST", "headers": {"X-New": "2"}}
        await api.admin("PUT", f"/webhooks/{made}", json=changed)
        await api.admin("PUT", f"/webhooks/{made}", json={"active": False})
        await api.put("/customers/c-1", ADA | {"title": "Ms"})
        await api.admin("PUT", f"/webhooks/{made}", json={"active": True})
        _, second = await receiver.expect(2)
    assert (second.method, second.path) == ("POST", "/new/c-1")
    assert (second.header("x-old"), second.header("x-new")) == (None, "2")


async def test_a_change_during_a_request_is_sent_after_it(api: Api) -> None:
    """While a request is under way no other of its record is; what changed meanwhile follows, in its newest state."""
    async with Receiver.listen(behaviour=[Behaviour(delay_seconds=3.0), Behaviour()]) as receiver, working(api):
        made = await webhook(api, receiver)
        await api.put("/customers/c-1", ADA | {"details": {"i": 0}})
        await receiver.expect(1)
        for i in range(1, 4):
            await api.put("/customers/c-1", ADA | {"details": {"i": i}})
        assert (await delivery(api, made, "c-1"))["status"] == "sending"
        shown = await settled(api, made, "c-1")
        assert [versions(each)[1] for each in receiver.received] == [1, 4]
        assert (shown["wanted"], shown["acknowledged"]) == (4, 4)


async def test_versions_of_a_record_never_go_backwards(api: Api) -> None:
    """However changes and answers interleave, a record's versions arrive rising, and the last one arrives."""
    random = Random(7)

    def moody(received: Received) -> Behaviour:
        status = 503 if random.random() < 0.2 else 200
        return Behaviour(status=status, delay_seconds=random.random() * 0.02)

    async with Receiver.listen(behaviour=moody) as receiver, working(api):
        await webhook(api, receiver, retryDelay=0.01, retryLimit=50, retryBackoff=False)
        last: dict[str, int] = {}
        for i in range(150):
            key = f"c-{random.randrange(5)}"
            put = await api.put(f"/customers/{key}", ADA | {"details": {"i": i}})
            last[key] = put.result[0]["version"]
        await all_settled(api)
    seen: dict[str, list[int]] = {}
    for received in receiver.received:
        path, version = versions(received)
        seen.setdefault(path.rpartition("/")[2], []).append(version)
    for key, order in seen.items():
        assert order == sorted(order), key
        assert order[-1] == last[key]
    assert seen.keys() == last.keys()


async def test_deliveries_are_listed_by_webhook_status_and_record(api: Api) -> None:
    """Deliveries are found by their webhook, their state and the record's external id, and together."""

    def picky(received: Received) -> Behaviour:
        return Behaviour(status=200 if received.path.endswith("good") else 400)

    async with Receiver.listen(behaviour=picky) as receiver, working(api):
        one = await webhook(api, receiver, name="one", retryLimit=0)
        two = await webhook(api, receiver, name="two", active=False)
        for key in ("good", "bad"):
            await api.put(f"/customers/{key}", ADA)
        await settled(api, one, "good")
        await settled(api, one, "bad", "failed")

        async def found(query: str) -> list[tuple[int, str, str]]:
            answer = (await api.admin("GET", f"/deliveries?withCount=true&{query}")).result
            assert answer["count"] == len(answer["rows"])
            return sorted((row["webhookId"], row["externalId"], row["status"]) for row in answer["rows"])

        assert await found("") == [
            (one, "bad", "failed"),
            (one, "good", "delivered"),
            (two, "bad", "owed"),
            (two, "good", "owed"),
        ]
        assert await found(f"webhook={one}") == [(one, "bad", "failed"), (one, "good", "delivered")]
        assert await found("status=failed") == [(one, "bad", "failed")]
        assert await found("status=owed") == [(two, "bad", "owed"), (two, "good", "owed")]
        assert await found("status=sending") == []
        assert await found("externalId=good") == [(one, "good", "delivered"), (two, "good", "owed")]
        assert await found(f"webhook={two}&status=owed&externalId=bad") == [(two, "bad", "owed")]
        assert await found("externalId=nobody") == await found("webhook=999") == []
        page: list[dict[str, Any]] = []
        for offset in range(4):
            page += (await api.admin("GET", f"/deliveries?limit=1&offset={offset}")).result["rows"]
        assert len({row["id"] for row in page}) == 4
        assert (await api.admin("GET", "/deliveries?limit=0&withCount=true")).result == {"count": 4, "rows": []}
        gone = await api.admin("GET", f"/deliveries/{two}-01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f")
        assert (gone.status, gone.error["code"]) == (404, "RESOURCE_NOT_FOUND")


async def test_a_deleted_webhook_sends_nothing_more(api: Api) -> None:
    """What a webhook was still owed goes with it, also what is being retried."""
    async with Receiver.listen(behaviour=Behaviour(status=500)) as receiver, working(api):
        made = await webhook(api, receiver, retryDelay=0.1, retryLimit=1000, retryBackoff=False)
        await api.put("/customers/c-1", ADA)
        await receiver.expect(2)
        assert (await api.admin("DELETE", f"/webhooks/{made}")).result["owed"] == 1
        await api.put("/customers/c-2", ADA)

        async def nothing_left() -> bool:
            stored = await api.stored()
            return stored["delivery"] == stored["due"] == 0

        assert await eventually(nothing_left)
        count = receiver.count
        other = await webhook(api, receiver, name="other", url=f"{receiver.url}/other")
        await api.put("/customers/c-3", ADA)
        await receiver.wait_until(lambda got: any(each.path == "/other" for each in got.received))
        assert count <= receiver.count - 1
        assert all(each.path == "/other" for each in list(receiver.received)[count + 1 :])
        assert other != made
