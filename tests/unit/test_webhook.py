"""A webhook is read from a request whole, or refused with everything that is wrong with it."""

from decimal import Decimal
from ipaddress import ip_network
from typing import Any

import pytest

from retailos.exchanges.addresses import Policy
from retailos.resources import RESOURCES
from retailos.webhooks.body import read_webhook
from retailos.webhooks.headers import HEADERS_MOST, Headers
from retailos.webhooks.hidden import HIDDEN
from retailos.webhooks.url import variables
from retailos.webhooks.webhook import webhook_fields

POLICY = Policy(allow=(ip_network("127.0.0.0/8"),))
LEAST = {"name": "erp", "resource": "customer", "url": "http://127.0.0.1:8080/{externalCustomerId}"}


def problems(body: Any, kept: Any = None) -> list[tuple[str, str]]:
    """Where a body has which problems."""
    return [(each.path, each.code) for each in read_webhook(RESOURCES, body, POLICY, kept)[1]]


def test_the_standard_policy_is_the_guides_example() -> None:
    """What is not said is the standard: five retries, 120 s doubled, in all about an hour."""
    values, wrong = read_webhook(RESOURCES, LEAST, POLICY)
    assert wrong == []
    standard = LEAST | {
        "method": "PUT",
        "headers": {},
        "retryLimit": 5,
        "retryDelay": 120,
        "retryBackoff": True,
        "retryDelayMax": 21_600,
        "requeueEvery": 0,
        "requeueOnRecovery": True,
        "timeout": 30,
        "connectTimeout": 5,
        "concurrency": 16,
        "sends": "latest",
        "onExhausted": "hold",
        "where": {},
        "whenChanged": [],
        "suppressEcho": [],
        "onRelationChange": "ignore",
        "fields": [],
        "userProjection": "full",
        "onDelete": "send",
        "batchSize": 1,
        "active": True,
    }
    assert values.items() >= standard.items()
    minutes = sum(values["retryDelay"] * 2**n for n in range(values["retryLimit"])) / 60
    assert minutes == 62


def test_what_is_absent_is_kept() -> None:
    """A change is read over what is there: absent is kept, null is the default again."""
    kept = read_webhook(RESOURCES, LEAST | {"retryLimit": 9, "method": "POST", "timeout": Decimal("2.5")}, POLICY)[0]
    values, wrong = read_webhook(RESOURCES, {"retryLimit": None, "active": False}, POLICY, kept)
    assert wrong == []
    assert values == kept | {"retryLimit": 5, "active": False}


def test_what_the_server_sets_is_ignored() -> None:
    """A webhook that was shown can be sent back: its id and its moments are ignored."""
    shown = LEAST | {"id": 99, "createdAt": "x", "updatedAt": 1}
    values, wrong = read_webhook(RESOURCES, shown, POLICY)
    assert (wrong, "id" in values, "createdAt" in values) == ([], False, False)


def test_hidden_values_are_put_back() -> None:
    """*** stands for the value that is stored under that name, whatever its case; without one it is a problem."""
    kept = read_webhook(RESOURCES, LEAST | {"headers": {"Authorization": "secret", "X-A": "a"}}, POLICY)[0]
    values, wrong = read_webhook(RESOURCES, {"headers": {"authorization": HIDDEN, "X-B": "b"}}, POLICY, kept)
    assert (wrong, values["headers"]) == ([], {"authorization": "secret", "X-B": "b"})
    assert problems({"headers": {"X-C": HIDDEN}}, kept) == [("/headers/X-C", "HIDDEN_VALUE")]
    assert problems(LEAST | {"headers": {"X-C": HIDDEN}}) == [("/headers/X-C", "HIDDEN_VALUE")]


@pytest.mark.parametrize("body", [None, [], "x", 1, True])
def test_a_webhook_is_an_object(body: Any) -> None:
    """What is no object is one problem."""
    assert problems(body) == [("", "WRONG_TYPE")]


def test_every_problem_is_told_at_once() -> None:
    """Unknown, missing and wrong members are found in one go."""
    assert sorted(problems({"nmae": "x", "resource": "custmer", "method": "GET", "timeout": 0})) == [
        ("/method", "UNKNOWN_CHOICE"),
        ("/name", "REQUIRED"),
        ("/nmae", "UNKNOWN_FIELD"),
        ("/resource", "UNKNOWN_CHOICE"),
        ("/timeout", "OUT_OF_RANGE"),
        ("/url", "REQUIRED"),
    ]


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("https://x/{a}/{b}?c={a}", ("a", "b", "a")),
        ("https://x/y", ()),
        ("https://x/{}", ("",)),
        ("https://x/{a{b}", ("b",)),
    ],
)
def test_a_template_names_fields_in_braces(url: str, names: tuple[str, ...]) -> None:
    """What stands in braces is the name of a field."""
    assert variables(url) == names


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/{externalUserId}", "UNKNOWN_TEMPLATE_FIELD"),
        ("/{details}", "UNKNOWN_TEMPLATE_FIELD"),
        ("/{address}", "UNKNOWN_TEMPLATE_FIELD"),
        ("/{registeredAt}", "UNKNOWN_TEMPLATE_FIELD"),
        ("/{ id }", "INVALID_URL"),
        ("/{}", "UNKNOWN_TEMPLATE_FIELD"),
        ("/{id", "INVALID_TEMPLATE"),
        ("/id}", "INVALID_TEMPLATE"),
        ("/{a{id}}", "INVALID_TEMPLATE"),
    ],
)
def test_a_template_takes_plain_fields_of_the_resource(path: str, code: str) -> None:
    """Only a field that every record can have as one text stands in a URL, and every brace has its other."""
    assert ("/url", code) in problems(LEAST | {"url": f"http://127.0.0.1{path}"})


@pytest.mark.parametrize(
    "path", ["/{id}", "/{lastName}", "/{version}", "/{updatedAt}", "/{generalMarketing}", "/{territoryId}", "/"]
)
def test_good_templates_are_taken(path: str) -> None:
    """Ids, texts, numbers, switches and moments can stand in a URL."""
    assert problems(LEAST | {"url": f"http://127.0.0.1{path}"}) == []


@pytest.mark.parametrize(
    "name", ["Content-Type", "accept", "HOST", "X-Ra-Change", "x-ra-anything", "Transfer-Encoding", "Expect"]
)
def test_our_own_headers_are_reserved(name: str) -> None:
    """What is set on every request, or by the connection, can't be set by a webhook."""
    assert problems(LEAST | {"headers": {name: "x"}}) == [(f"/headers/{name}", "RESERVED_HEADER")]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "é", "x" * 101, "a\x00"])
def test_a_header_has_a_name_that_http_takes(name: str) -> None:
    """A name with anything but a token's characters is refused, so that no second header can hide in it."""
    assert [code for _, code in problems(LEAST | {"headers": {name: "x"}})] == ["INVALID_HEADER"]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "\x00", "é", "x" * 8001, 1, None, [], "\x7f"])
def test_a_header_has_a_value_that_http_takes(value: Any) -> None:
    """A value of anything but printable ASCII is refused, so that no second header can hide in it."""
    assert [code for _, code in problems(LEAST | {"headers": {"X-A": value}})] == ["INVALID_HEADER"]


def test_headers_have_a_limit() -> None:
    """Fifty headers are taken, and not one more."""
    headers = {f"X-{i}": "x" for i in range(HEADERS_MOST)}
    assert problems(LEAST | {"headers": headers}) == []
    assert problems(LEAST | {"headers": headers | {"X-More": "x"}}) == [("/headers", "TOO_MANY")]
    with pytest.raises(ValueError, match=r"^expected "):
        Headers().parse("x")


def test_the_fields_are_documented_in_their_order() -> None:
    """The fields of a webhook stand in the order in which it is shown."""
    assert list(webhook_fields(RESOURCES)) == [
        *("id", "name", "resource", "url", "method", "headers", "retryLimit", "retryDelay", "retryBackoff"),
        *("retryDelayMax", "retryOn", "requeueEvery", "requeueOnRecovery", "timeout", "connectTimeout"),
        *("concurrency", "rate"),
        *("breaker", "breakerFailures", "breakerProbe"),
        *("sends", "onExhausted", "where", "whenChanged", "suppressEcho", "onRelationChange"),
        *("fields", "userProjection", "onDelete"),
        *("batchSize", "batchBytes", "batchWait"),
        *("batchAnswer", "batchAnswerList", "batchAnswerId", "batchAnswerError"),
        *("credentials", "signing", "clientCertificate", "clientKey", "certificateAuthority"),
        *("active", "disabled", "pausedReason", "heldSince", "certificateExpiresAt", "createdAt", "updatedAt"),
    ]
