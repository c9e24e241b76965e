"""What of a record goes out: the fields and projections that a webhook names, and how a deletion is told."""

from typing import Any

import pytest

from retailos.receiver import Behaviour, Receiver
from tests.contract.conftest import Api, codes
from tests.contract.delivering import settled, webhook, working

ADA = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com"}


async def related(api: Api) -> dict[str, Any]:
    """A user and a store, as a customer refers to them."""
    assert (await api.put("/users/u-1", {"firstName": "G", "lastName": "H", "username": "gh"})).status == 200
    assert (await api.put("/stores/s-1", {"name": "Covent Garden"})).status == 200
    return {"registeredBy": {"externalUserId": "u-1"}, "registeredAt": {"externalStoreId": "s-1"}}


async def test_only_what_is_named_goes_out(api: Api) -> None:
    """The named fields and projections go out, and a field of the URL that is not among them still stands in it."""
    async with Receiver.listen() as receiver, working(api):
        url = f"{receiver.url}/{{lastName}}/{{externalCustomerId}}/{{generalMarketing}}"
        await webhook(api, receiver, url=url, fields=["email", "registeredBy"], userProjection="minimal")
        await api.put("/customers/c-1", ADA | await related(api))
        [received] = await receiver.expect(1)
    assert received.path == "/Lovelace/c-1/false"
    sent = received.json()["customer"]
    assert list(sent) == ["externalCustomerId", "email", "registeredBy", "version", "deletedAt"]
    assert list(sent["registeredBy"]) == ["id", "externalUserId", "firstName", "lastName"]
    assert (sent["email"], sent["registeredBy"]["externalUserId"]) == ("ada@example.com", "u-1")


async def test_relations_that_the_guide_does_not_show_can_be_asked_for(api: Api) -> None:
    """A relation beside those of the guide goes out where it is named."""
    async with Receiver.listen() as receiver, working(api):
        await webhook(api, receiver, fields=["preferredStore"])
        await related(api)
        await api.put("/customers/c-1", ADA | {"preferredStore": {"externalStoreId": "s-1"}})
        [received] = await receiver.expect(1)
    assert received.json()["customer"]["preferredStore"]["name"] == "Covent Garden"


async def test_a_shape_is_checked_when_it_is_saved(shop: Api) -> None:
    """What the resource does not have, and words that mean nothing, are refused at the door, all at once."""
    told = {"name": "w", "resource": "customer", "url": "http://127.0.0.1:9/{externalCustomerId}"}
    wrong = {"fields": ["emial", 1], "userProjection": "none", "onDelete": "drop"}
    answer = await shop.admin("POST", "/webhooks", json=told | wrong)
    assert (answer.status, sorted(codes(answer))) == (
        400,
        [("/fields/1", "WRONG_TYPE"), ("/onDelete", "UNKNOWN_CHOICE"), ("/userProjection", "UNKNOWN_CHOICE")],
    )
    answer = await shop.admin("POST", "/webhooks", json=told | {"fields": ["emial"]})
    assert (answer.status, codes(answer)) == (400, [("/fields/0", "UNKNOWN_FIELD")])
    assert "did you mean email?" in answer.error["details"]["errors"][0]["message"]


async def test_a_deleted_record_is_sent_as_it_was(api: Api) -> None:
    """Unless the webhook says otherwise, a deletion is a request like any other, with `deletedAt` in the record."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver)
        await api.put("/customers/c-1", ADA)
        await settled(api, made, "c-1")
        await api.request("DELETE", "/v2/public/customers/external/c-1")
        [_, received] = await receiver.expect(2)
    assert (received.method, received.header("x-ra-change")) == ("PUT", "deleted")
    sent = received.json()["customer"]
    assert (sent["deletedAt"], sent["lastName"]) == (sent["updatedAt"], "Lovelace")


@pytest.mark.parametrize("status", [204, 404, 410])
async def test_a_deletion_can_be_an_http_delete(api: Api, status: int) -> None:
    """`onDelete: delete` sends a DELETE without a body; a receiver that has no such record is content with that."""

    def answers(received: Any) -> Behaviour:
        return Behaviour(status=status if received.method == "DELETE" else 200)

    async with Receiver.listen(behaviour=answers) as receiver, working(api):
        made = await webhook(api, receiver, onDelete="delete")
        await api.put("/customers/c-1", ADA)
        await settled(api, made, "c-1")
        await api.request("DELETE", "/v2/public/customers/external/c-1")
        [_, received] = await receiver.expect(2)
        shown = await settled(api, made, "c-1")
        assert (await api.put("/customers/c-1", ADA)).status == 200
        [*_, back] = await receiver.expect(3)
    assert (received.method, received.path, received.body) == ("DELETE", "/v1/retailos/customer/c-1", b"")
    assert [received.header(name) for name in ("x-ra-change", "x-ra-record-version", "content-type")] == [
        *("deleted", "2", None)
    ]
    assert [each["status"] for each in shown["attemptHistory"]] == [status, 200]
    assert (back.method, back.header("x-ra-change")) == ("PUT", "updated")


async def test_another_refusal_of_a_delete_is_one(api: Api) -> None:
    """A DELETE that is refused for any other reason is made again, as every request."""
    async with Receiver.listen(behaviour=Behaviour(status=500)) as receiver, working(api):
        made = await webhook(api, receiver, onDelete="delete", retryLimit=1)
        await api.put("/customers/c-1", ADA)
        await api.request("DELETE", "/v2/public/customers/external/c-1")
        await settled(api, made, "c-1", "failed")
        assert [each.method for each in receiver.received][-2:] == ["DELETE", "DELETE"]
