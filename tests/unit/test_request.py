"""The request that tells a receiver of a record is made of values alone, and says all that a strict receiver needs."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec import structs

from retailos.deliveries.claim import DOUBTFUL, LEFT, Claim
from retailos.deliveries.name import delivery_id
from retailos.resources import RESOURCES
from retailos.sending.request import (
    CannotBeAddressed,
    Item,
    Told,
    build_request,
    change_of,
    render_url,
)
from retailos.webhooks.batching import Batching
from retailos.webhooks.shape import Shape
from retailos.webhooks.webhook import Webhook

CUSTOMER = RESOURCES["customer"]
ID = UUID("0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e6f")


def order(**fields: Any) -> Webhook:
    """A webhook to the guide's URL, or as told."""
    plain = Webhook.of(
        id=3,
        name="erp",
        resource="customer",
        settings={"url": "https://erp.example.com/v1/retailos/customer/{externalCustomerId}"},
        active=True,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return replace(plain, **fields)


def told(external_id: str = "c-1", **fields: Any) -> Told:
    """A record as it is told."""
    body = {"id": str(ID), "externalCustomerId": external_id, "lastName": "Doe", "email": None, "smsMarketing": False}
    text = msgspec.json.encode(body | fields).decode()
    return Told(id=ID, external_id=external_id, version=7, operation="update", json=text, address=text)


def item(attempt: int = 1, acknowledged: int = 0, **fields: Any) -> Item:
    """A record that is told, and the claim that it is told under."""
    return Item(Claim(ID, ID, attempt, acknowledged), told(**fields))


def test_a_request_says_what_it_is_about() -> None:
    """The body is the record under its resource's name; the headers tell request, delivery, attempt and version."""
    headers = {"Authorization": "API_KEY theirs"}
    request_id, request = build_request(CUSTOMER, order(headers=headers), [item(attempt=2, acknowledged=5)])
    assert (request.method, request.url) == ("PUT", "https://erp.example.com/v1/retailos/customer/c-1")
    assert request.timeout_seconds == 30
    assert request.body == f'{{"customer":{told().json}}}'.encode()
    sent = dict(request.headers)
    assert sent.pop("traceparent") == f"00-{request_id.hex}-{request_id.hex[16:]}-01"
    assert sent == {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "X-Ra-Request-Id": str(request_id),
        "X-Ra-Delivery-Id": f"3-{ID}",
        "X-Ra-Attempt": "2",
        "X-Ra-Record-Version": "7",
        "X-Ra-Resource": "customer",
        "X-Ra-Change": "updated",
        "Authorization": "API_KEY theirs",
    }


def test_a_batch_says_what_is_true_of_all() -> None:
    """A batch, be it of one, is an array under the plural's name, and its headers tell of no single record."""
    webhook = order(url="https://erp.example.com/customers", batching=Batching(size=10))
    for count in (1, 3):
        request_id, request = build_request(CUSTOMER, webhook, [item() for _ in range(count)])
        assert (request.method, request.url) == ("PUT", "https://erp.example.com/customers")
        assert request.body == f'{{"customers":[{",".join([told().json] * count)}]}}'.encode()
        assert dict(request.headers).keys() == {
            *("Content-Type", "Accept", "X-Ra-Request-Id", "X-Ra-Batch-Size", "X-Ra-Resource", "traceparent")
        }
        assert dict(request.headers)["X-Ra-Batch-Size"] == str(count)
        assert dict(request.headers)["X-Ra-Request-Id"] == str(request_id)


def test_a_deletion_is_sent_or_deletes() -> None:
    """A deleted record goes out like any other, or, where the webhook says so, as a DELETE without a body."""
    gone = Item(Claim(ID, ID, 1, 5), structs.replace(told(), operation="delete", deleted=True))
    _, sent = build_request(CUSTOMER, order(), [gone])
    assert (sent.method, sent.body) == ("PUT", f'{{"customer":{told().json}}}'.encode())
    _, deleted = build_request(CUSTOMER, order(shape=Shape(on_delete="delete")), [gone])
    assert (deleted.method, deleted.url, deleted.body) == ("DELETE", sent.url, b"")
    expected = {name: value for name, value in sent.headers if name not in ("X-Ra-Request-Id", "traceparent")}
    assert expected["X-Ra-Change"] == "deleted"
    assert expected.items() - dict(deleted.headers).items() == {("Content-Type", "application/json")}
    _, living = build_request(CUSTOMER, order(shape=Shape(on_delete="delete")), [item()])
    assert living.method == "PUT"


def test_every_attempt_has_an_id_of_its_own() -> None:
    """Two requests of one delivery share the delivery's id, and not their own."""
    (one, first), (two, second) = (build_request(CUSTOMER, order(), [item()]) for _ in range(2))
    assert one != two
    assert dict(first.headers)["X-Ra-Delivery-Id"] == dict(second.headers)["X-Ra-Delivery-Id"] == delivery_id(3, ID)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", dict(first.headers)["traceparent"])


@pytest.mark.parametrize(
    ("operation", "acknowledged", "change"),
    [
        ("create", 0, "created"),
        ("update", 0, "created"),
        ("update", 1, "updated"),
        ("create", 1, "updated"),
        ("undelete", 3, "updated"),
        ("delete", 3, "deleted"),
        ("delete", 0, "deleted"),
        ("anonymise", 3, "anonymised"),
        ("merge", 3, "merged"),
    ],
)
def test_a_change_is_what_it_is_to_this_receiver(operation: str, acknowledged: int, change: str) -> None:
    """A record that a receiver never acknowledged is new to it, however often it changed here."""
    assert change_of(structs.replace(told(), operation=operation), Claim(ID, ID, 1, acknowledged)) == change


def test_a_record_leaves_and_comes_back() -> None:
    """What is none of the webhook's any more left; what comes back afterwards is new; deleted is deleted."""
    claim = Claim(ID, ID, 1, 5)
    assert change_of(structs.replace(told(), matches=False), claim) == "left"
    assert change_of(structs.replace(told(), matches=False, operation="delete"), claim) == "deleted"
    assert change_of(told(), structs.replace(claim, told=LEFT)) == "created"
    assert change_of(told(), structs.replace(claim, told=DOUBTFUL)) == "updated"


@pytest.mark.parametrize(
    ("external_id", "segment"),
    [
        ("a/b", "a%2Fb"),
        ("a%2Fb", "a%252Fb"),
        ("john.d@example.com", "john.d%40example.com"),
        ("a b+c", "a%20b%2Bc"),
        ("😀", "%F0%9F%98%80"),
        ("{id}", "%7Bid%7D"),
        ("?x#y&z=1", "%3Fx%23y%26z%3D1"),
        ("...", "..."),
        ("a-b_c.d~e", "a-b_c.d~e"),
        ("\\", "%5C"),
    ],
)
def test_a_value_is_one_segment(external_id: str, segment: str) -> None:
    """Whatever stands in a value, it is percent-encoded as one segment and can't change the rest of the URL."""
    assert render_url(CUSTOMER, order(), told(external_id)) == f"https://erp.example.com/v1/retailos/customer/{segment}"


def test_any_plain_field_can_stand_in_the_url() -> None:
    """Fields of the record stand in path and query, each as often as it is named, a boolean as JSON writes it."""
    url = "https://x/{lastName}/{id}/{lastName}?sms={smsMarketing}&v={version}"
    assert render_url(CUSTOMER, order(url=url), told(version=7)) == f"https://x/Doe/{ID}/Doe?sms=false&v=7"
    assert render_url(CUSTOMER, order(url="https://x/all"), told()) == "https://x/all"


def test_a_value_is_not_read_as_a_template() -> None:
    """Braces in a value stand for themselves, also where they name another field."""
    url = "https://x/{lastName}/{externalCustomerId}"
    assert (
        render_url(CUSTOMER, order(url=url), told(lastName="{externalCustomerId}"))
        == "https://x/%7BexternalCustomerId%7D/c-1"
    )


@pytest.mark.parametrize("value", [None, "", ".", ".."])
def test_a_record_without_a_segment_can_not_be_addressed(value: str | None) -> None:
    """A value that is missing or is no segment of a URL is an error that names the field and not the value."""
    with pytest.raises(CannotBeAddressed, match="the URL needs lastName"):
        render_url(CUSTOMER, order(url="https://x/{lastName}"), told(lastName=value))
