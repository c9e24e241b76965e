"""Webhooks as operators keep them: added, shown, changed, taken away, and refused where they make no sense."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from retailos.resources import RESOURCES
from retailos.secrets import read_ring
from retailos.settings import Settings
from retailos.webhooks import orders
from tests.contract.conftest import TIMESTAMP, Api, check_envelope, codes, serving

EARLIER, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
SECRET = "whsec_" + "A" * 43 + "="
FIELDS = (
    *(
        "id",
        "name",
        "resource",
        "url",
        "method",
        "headers",
        "retryLimit",
        "retryDelay",
        "retryBackoff",
        "retryDelayMax",
        "retryOn",
        "requeueEvery",
        "requeueOnRecovery",
    ),
    *("timeout", "connectTimeout", "concurrency", "rate", "breaker", "breakerFailures", "breakerProbe"),
    *("sends", "onExhausted", "where", "whenChanged", "suppressEcho", "onRelationChange"),
    *("fields", "userProjection", "onDelete"),
    *("batchSize", "batchBytes", "batchWait", "batchAnswer", "batchAnswerList", "batchAnswerId", "batchAnswerError"),
    *("credentials", "signing", "clientCertificate", "clientKey", "certificateAuthority"),
    *("active", "disabled", "pausedReason", "heldSince", "certificateExpiresAt", "createdAt", "updatedAt"),
)
URL = "http://127.0.0.1:9/v1/customer/{externalCustomerId}"


@pytest.fixture
def name(numbers: Iterator[int]) -> str:
    """A webhook's name that no other test uses."""
    return f"webhook-{next(numbers)}"


async def added(api: Api, name: str, **fields: Any) -> dict[str, Any]:
    """Add a webhook and give it as it is shown."""
    answer = await api.admin("POST", "/webhooks", json={"name": name, "resource": "customer", "url": URL} | fields)
    assert answer.status == 201, answer.body
    shown: dict[str, Any] = answer.result
    return shown


async def test_a_webhook_has_the_standard_policy_unless_told(shop: Api, name: str) -> None:
    """A webhook needs a name, a resource and a URL; the rest is the guide's standard: five retries within the hour."""
    answer = await shop.admin("POST", "/webhooks", json={"name": name, "resource": "customer", "url": URL})
    envelope = check_envelope(answer, 201)
    assert (envelope["action"], envelope["userMessage"]) == ("WEBHOOK_CREATE", "Webhook")
    shown = envelope["result"]
    assert tuple(shown) == FIELDS
    assert (shown["name"], shown["resource"], shown["url"], shown["method"]) == (name, "customer", URL, "PUT")
    assert (shown["retryLimit"], shown["retryDelay"], shown["retryBackoff"], shown["retryDelayMax"]) == (
        5,
        120,
        True,
        21600,
    )
    assert (shown["headers"], shown["timeout"], shown["concurrency"], shown["active"]) == ({}, 30, 16, True)
    assert shown["createdAt"] == shown["updatedAt"]
    assert TIMESTAMP.fullmatch(shown["createdAt"])
    assert answer.headers["location"] == f"/v2/admin/webhooks/{shown['id']}"
    assert (await shop.request("GET", answer.headers["location"], key=shop.admin_key)).result == shown


@pytest.mark.parametrize("resource", list(RESOURCES))
async def test_every_resource_can_have_webhooks(shop: Api, name: str, resource: str) -> None:
    """A webhook is set up for one resource, any of them."""
    key = RESOURCES[resource].external_id.name
    shown = await added(shop, name, resource=resource, url=f"http://127.0.0.1:9/{{{key}}}/{{id}}")
    assert shown["resource"] == resource


async def test_every_member_can_be_set(shop: Api, name: str) -> None:
    """All that a webhook has can be said when it is added, and comes back as it was said."""
    said = {"method": "POST", "retryLimit": 0, "retryDelay": 0.125, "retryBackoff": False, "retryDelayMax": 3600.5}
    said |= {"timeout": 2.5, "concurrency": 1, "active": False, "url": URL + "?v={version}&l={lastName}"}
    said |= {"sends": "every", "onExhausted": "skip", "whenChanged": ["email"], "where": {"emailMarketing": True}}
    said |= {"fields": ["email", "territory"], "userProjection": "minimal", "onDelete": "delete"}
    shown = await added(shop, name, **said)
    assert {each: shown[each] for each in said} == said


async def test_a_change_keeps_what_is_absent(shop: Api, name: str) -> None:
    """A PUT changes what it says and keeps the rest; the moment of the change is kept, that of the making stays."""
    before = await added(shop, name, retryLimit=3)
    answer = await shop.admin("PUT", f"/webhooks/{before['id']}", json={"active": False, "retryDelay": 7})
    envelope = check_envelope(answer, 200)
    assert envelope["action"] == "WEBHOOK_UPDATE"
    after = envelope["result"]
    changed = {"active": False, "retryDelay": 7, "updatedAt": after["updatedAt"]}
    assert after == before | changed
    assert after["updatedAt"] > before["updatedAt"]
    assert (await shop.admin("PUT", f"/webhooks/{before['id']}", json=after)).result["active"] is False


async def test_webhooks_are_listed_in_the_order_of_their_making(api: Api) -> None:
    """A list of webhooks counts them and shows each as it is."""
    made = [await added(api, f"w-{i}") for i in range(3)]
    envelope = check_envelope(await api.admin("GET", "/webhooks"), 200)
    assert (envelope["action"], envelope["userMessage"]) == ("WEBHOOK_GET_ALL", "Webhooks")
    assert envelope["result"] == {"count": 3, "rows": made}
    await api.admin("DELETE", f"/webhooks/{made[1]['id']}")
    assert (await api.admin("GET", "/webhooks")).result["rows"] == [made[0], made[2]]


async def test_a_deleted_webhook_is_gone(api: Api) -> None:
    """A deleted webhook tells what it was still owed, is found no more, and frees its name."""
    shown = await added(api, "gone")
    for i in range(3):
        assert (await api.put(f"/customers/{i}", {"firstName": "Ada"})).status == 200
    await api.put("/stores/1", {"name": "X"})
    envelope = check_envelope(await api.admin("DELETE", f"/webhooks/{shown['id']}"), 200)
    assert (envelope["action"], envelope["result"]) == ("WEBHOOK_DELETE", {"id": shown["id"], "owed": 3})
    for method in ("GET", "DELETE", "PUT"):
        again = await api.admin(method, f"/webhooks/{shown['id']}", **({"json": {}} if method == "PUT" else {}))
        assert check_envelope(again, 404)["error"]["code"] == "RESOURCE_NOT_FOUND"
    assert (await api.admin("GET", "/deliveries?withCount=true")).result == {"count": 0, "rows": []}
    assert (await added(api, "gone"))["id"] != shown["id"]
    await api.put("/customers/1", {"firstName": "Eve"})
    assert (await api.admin("GET", "/deliveries?withCount=true")).result["count"] == 1


async def test_a_name_is_unique_for_a_resource(shop: Api, name: str) -> None:
    """Two webhooks of one resource can't have one name, since it names the queue; those of two resources can."""
    await added(shop, name)
    other = await added(shop, f"{name}-other")
    store = {"name": name, "resource": "store", "url": "http://127.0.0.1:9/{externalStoreId}"}
    assert (await shop.admin("POST", "/webhooks", json=store)).status == 201
    for method, path in (("POST", "/webhooks"), ("PUT", f"/webhooks/{other['id']}")):
        refused = await shop.admin(method, path, json={"name": name, "resource": "customer", "url": URL})
        assert (refused.status, codes(refused)) == (409, [("/name", "NOT_UNIQUE")])


async def test_the_values_of_headers_are_never_shown(shop: Api, name: str) -> None:
    """Headers may hold credentials: they are shown as ***, and *** sent back keeps what is stored."""
    shown = await added(shop, name, headers={"Authorization": "API_KEY s3cret", "X-Team": "erp"})
    assert shown["headers"] == {"Authorization": "***", "X-Team": "***"}
    path = f"/webhooks/{shown['id']}"

    async def stored() -> Any:
        async with shop.engine.pool.acquire() as connection:
            webhook = await orders.webhook(shop.engine.pool, shown["id"])
            ring = read_ring(shop.engine.settings.encryption_keys)
            return (await orders.opened(connection, ring, webhook)).headers

    before = await stored()
    assert before == {"Authorization": "API_KEY s3cret", "X-Team": "erp"}
    for body in ({}, {"headers": shown["headers"]}, shown, {"timeout": 3}):
        answer = await shop.admin("PUT", path, json=body)
        assert answer.result["headers"] == shown["headers"]
        assert b"s3cret" not in answer.body
        assert await stored() == before
    lists = [await shop.admin("GET", path), await shop.admin("GET", "/webhooks")]
    assert not any(b"s3cret" in each.body for each in lists)
    await shop.admin("PUT", path, json={"headers": {"authorization": "***", "X-New": "n"}})
    assert await stored() == {"X-New": "n", "authorization": "API_KEY s3cret"}
    refused = await shop.admin("PUT", path, json={"headers": {"X-Unknown": "***"}})
    assert codes(refused) == [("/headers/X-Unknown", "HIDDEN_VALUE")]
    refused = await shop.admin(
        "POST", "/webhooks", json={"name": "x", "resource": "customer", "url": URL, "headers": {"A": "***"}}
    )
    assert codes(refused) == [("/headers/A", "HIDDEN_VALUE")]


async def test_the_resource_of_a_webhook_stays(shop: Api, name: str) -> None:
    """What is owed belongs to the resource, so a webhook can't be given another."""
    shown = await added(shop, name)
    refused = await shop.admin(
        "PUT", f"/webhooks/{shown['id']}", json={"resource": "store", "url": "http://127.0.0.1:9/x"}
    )
    assert codes(refused) == [("/resource", "NOT_SETTABLE")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": ""}, ("/name", "TOO_SHORT")),
        ({"name": "x" * 101}, ("/name", "TOO_LONG")),
        ({"name": "a\nb"}, ("/name", "INVALID_NAME")),
        ({"name": None}, ("/name", "REQUIRED")),
        ({"resource": "custmer"}, ("/resource", "UNKNOWN_CHOICE")),
        ({"method": "GET"}, ("/method", "UNKNOWN_CHOICE")),
        ({"method": "put"}, ("/method", "UNKNOWN_CHOICE")),
        ({"retryLimit": -1}, ("/retryLimit", "OUT_OF_RANGE")),
        ({"retryLimit": 1001}, ("/retryLimit", "OUT_OF_RANGE")),
        ({"retryLimit": 2.5}, ("/retryLimit", "WRONG_TYPE")),
        ({"retryDelay": -0.1}, ("/retryDelay", "OUT_OF_RANGE")),
        ({"retryDelay": 604801}, ("/retryDelay", "OUT_OF_RANGE")),
        ({"retryDelay": 0.0001}, ("/retryDelay", "TOO_PRECISE")),
        ({"retryBackoff": "true"}, ("/retryBackoff", "WRONG_TYPE")),
        ({"retryDelayMax": "6h"}, ("/retryDelayMax", "WRONG_TYPE")),
        ({"retryDelay": 86400}, ("/retryDelay", "OUT_OF_RANGE")),
        ({"retryDelayMax": 60}, ("/retryDelay", "OUT_OF_RANGE")),
        ({"requeueEvery": 0.001}, ("/requeueEvery", "OUT_OF_RANGE")),
        ({"signing": {"secret": SECRET, "formerUntil": "2027-01-01T00:00:00Z"}}, ("/signing/formerSecret", "REQUIRED")),
        ({"timeout": 0}, ("/timeout", "OUT_OF_RANGE")),
        ({"timeout": 301}, ("/timeout", "OUT_OF_RANGE")),
        ({"concurrency": 0}, ("/concurrency", "OUT_OF_RANGE")),
        ({"concurrency": 257}, ("/concurrency", "OUT_OF_RANGE")),
        ({"active": 1}, ("/active", "WRONG_TYPE")),
        ({"active": None}, ("/active", "REQUIRED")),
        ({"where": None}, ("/where", "REQUIRED")),
        ({"fields": None}, ("/fields", "REQUIRED")),
        ({"retrylimit": 1}, ("/retrylimit", "UNKNOWN_FIELD")),
        ({"headers": []}, ("/headers", "WRONG_TYPE")),
        ({"headers": {"A": 1}}, ("/headers/A", "INVALID_HEADER")),
        ({"headers": {"A": "a\r\nB: c"}}, ("/headers/A", "INVALID_HEADER")),
        ({"headers": {"A": "é"}}, ("/headers/A", "INVALID_HEADER")),
        ({"headers": {"A": "x" * 8001}}, ("/headers/A", "INVALID_HEADER")),
        ({"headers": {"A B": "x"}}, ("/headers/A B", "INVALID_HEADER")),
        ({"headers": {"": "x"}}, ("/headers/", "INVALID_HEADER")),
        ({"headers": {"Host": "x"}}, ("/headers/Host", "RESERVED_HEADER")),
        ({"headers": {"content-length": "1"}}, ("/headers/content-length", "RESERVED_HEADER")),
        ({"headers": {"X-Ra-Attempt": "1"}}, ("/headers/X-Ra-Attempt", "RESERVED_HEADER")),
        ({"headers": {"Content-Encoding": "gzip"}}, ("/headers/Content-Encoding", "RESERVED_HEADER")),
        ({"headers": {"X-A": "1", "x-a": "2"}}, ("/headers/x-a", "REPEATED")),
        ({"headers": {f"X-{i}": "x" for i in range(51)}}, ("/headers", "TOO_MANY")),
        ({"url": ""}, ("/url", "INVALID_URL")),
        ({"url": "not a url"}, ("/url", "INVALID_URL")),
        ({"url": "ftp://127.0.0.1/x"}, ("/url", "HTTPS_REQUIRED")),
        ({"url": "http://93.184.215.14/x"}, ("/url", "HTTPS_REQUIRED")),
        ({"url": "http://127.0.0.1:9/{externalCustomerid}"}, ("/url", "UNKNOWN_TEMPLATE_FIELD")),
        ({"url": "http://127.0.0.1:9/{address}"}, ("/url", "UNKNOWN_TEMPLATE_FIELD")),
        ({"url": "http://127.0.0.1:9/{}"}, ("/url", "UNKNOWN_TEMPLATE_FIELD")),
        ({"url": "http://127.0.0.1:9/{externalCustomerId"}, ("/url", "INVALID_TEMPLATE")),
        ({"url": "http://{externalCustomerId}/x"}, ("/url", "TEMPLATE_IN_HOST")),
        ({"url": "http://127.0.0.1:{version}/x"}, ("/url", "TEMPLATE_IN_HOST")),
        ({"url": "http://user:secret@127.0.0.1:9/x"}, ("/url", "USER_INFO")),
        ({"url": "http://127.0.0.1:9/x#y"}, ("/url", "FRAGMENT")),
        ({"url": "http://127.0.0.1:9/a%zz/x"}, ("/url", "INVALID_URL")),
        ({"url": "http://127.0.0.1:9/a/../x"}, ("/url", "INVALID_URL")),
        ({"url": "http://127.0.0.1:9/a/%2E./x"}, ("/url", "INVALID_URL")),
        ({"url": "http://127.0.0.1:99999/x"}, ("/url", "INVALID_PORT")),
        ({"url": "http://169.254.169.254/latest/meta-data"}, ("/url", "BLOCKED_ADDRESS")),
    ],
    ids=str,
)
async def test_a_webhook_that_makes_no_sense_is_refused(
    shop: Api, fields: dict[str, Any], expected: tuple[str, str]
) -> None:
    """Each member of a webhook has its kind and its limits; the refusal points at it, and nothing is saved."""
    before = await shop.stored()
    refused = await shop.admin("POST", "/webhooks", json={"name": "no", "resource": "customer", "url": URL} | fields)
    assert expected in codes(refused), refused.body
    assert refused.status == 400
    assert b"secret" not in refused.body
    assert await shop.stored() == before


async def test_all_problems_of_a_webhook_are_told_at_once(shop: Api) -> None:
    """One answer lists everything that is wrong with a webhook."""
    refused = await shop.admin("POST", "/webhooks", json={"method": "GET", "timeout": 0, "nmae": "x"})
    assert {path for path, _ in codes(refused)} == {"/method", "/timeout", "/nmae", "/name", "/resource", "/url"}


async def test_addresses_that_are_not_public_must_be_allowed(settings: Settings, database: str) -> None:
    """Without a network in the settings, a webhook can't be saved that leads into one's own."""
    hosts = ("127.0.0.1", "[::1]", "10.0.0.1", "192.168.1.1", "[::ffff:127.0.0.1]", "0.0.0.1", "localhost")
    async with serving(replace(settings, allow_addresses=()), database) as api:
        for url in (f"{scheme}://{host}:9/x" for host in hosts for scheme in ("http", "https")):
            refused = await api.admin("POST", "/webhooks", json={"name": "x", "resource": "customer", "url": url})
            assert refused.status == 400, url
            assert {code for _, code in codes(refused)} <= {"BLOCKED_ADDRESS", "HTTPS_REQUIRED"}
        assert (await api.admin("GET", "/webhooks")).result["count"] == 0


async def test_metadata_addresses_are_never_allowed(settings: Settings, database: str) -> None:
    """No setting opens the addresses where clouds keep their credentials."""
    hosts = (
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "168.63.129.16",
        "100.100.100.200",
        "[::ffff:169.254.1.1]",
    )
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    async with serving(replace(settings, allow_addresses=everything), database) as api:
        for host in hosts:
            told = {"name": "x", "resource": "customer", "url": f"https://{host}/x"}
            assert codes(await api.admin("POST", "/webhooks", json=told)) == [("/url", "BLOCKED_ADDRESS")], host


async def test_a_requeue_names_a_webhook(shop: Api, name: str) -> None:
    """A requeue needs the id of a webhook that exists; a dry run only counts."""
    shown = await added(shop, name)
    for body, expected in (
        ({}, [("/webhook", "REQUIRED")]),
        ({"webhook": "1"}, [("/webhook", "WRONG_TYPE")]),
        ({"webhook": True}, [("/webhook", "WRONG_TYPE")]),
        ({"webhook": 1.0}, [("/webhook", "WRONG_TYPE")]),
        ({"webhook": 2**31}, [("/webhook", "OUT_OF_RANGE")]),
        ({"webhook": 0}, [("/webhook", "OUT_OF_RANGE")]),
        ({"webhook": shown["id"], "dryRun": "yes"}, [("/dryRun", "WRONG_TYPE")]),
        ({"webhook": shown["id"], "dryRun": None}, [("/dryRun", "REQUIRED")]),
        ({"webhook": shown["id"], "dryrun": True}, [("/dryrun", "UNKNOWN_FIELD")]),
        ({"webhook": shown["id"], "since": LATER, "until": EARLIER}, [("/until", "OUT_OF_RANGE")]),
    ):
        assert codes(await shop.admin("POST", "/requeues", json=body)) == expected, body
    assert (await shop.admin("POST", "/requeues", json={"webhook": 99999})).status == 404
    envelope = check_envelope(await shop.admin("POST", "/requeues", json={"webhook": shown["id"], "dryRun": True}), 200)
    assert envelope["action"] == "REQUEUE_CREATE"
    assert envelope["result"] == {"webhook": shown["id"], "count": 0, "dryRun": True, "operations": []}
