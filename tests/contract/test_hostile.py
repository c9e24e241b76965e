"""Hostile input: each is refused in the envelope, nothing breaks, nothing is written, and nobody's data is repeated."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from urllib.parse import quote

import msgspec
import pytest

from retailos.api.call import Operation
from retailos.api.server import all_operations
from retailos.declare.resource import Resource
from retailos.resources import RESOURCES
from tests.contract import hostile, queries, wire
from tests.contract.conftest import (
    EACH_RESOURCE,
    VARIED,
    Api,
    Response,
    check_envelope,
    least,
    read,
)
from tests.contract.hostile import Attack

#: Some id that no record has.
NOBODY = "01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"
#: A key that opens nothing.
KEY = "0000000000"
#: What is text once it is decoded, and so an id that nothing has.
READABLE = ("%2E", "%2e%2E", "%0A", "a%0D%0Ab", "%7F", "%C2%85")
#: Requests under way at once; more gains nothing on two cores.
AT_ONCE = 16
#: What is served to everybody, in each part of the API.
OPEN = ("openapi.json", "postman.json", "postman-environment.json", "docs")
#: Those whose records have a name.
NAMED = ("customer", "user", "store", "client", "category", "product")


def path_of(operation: Operation) -> str:
    """A path that leads to an operation: webhook, report and key that there are, else records that there are not."""
    if operation.path.startswith(("/v2/admin/webhooks", "/v2/admin/reports")) and "{issueId}" not in operation.path:
        return operation.path.replace("{id}", "1")
    if operation.path.startswith("/v2/admin/keys"):
        return operation.path.replace("{id}", KEY)
    path = operation.path.replace("/deliveries/{id}", f"/deliveries/1-{NOBODY}")
    return re.sub(r"\{\w+\}", "nobody", path.replace("{id}", NOBODY))


def operations(api: Api, *, body: bool | None = None, varied: bool = False) -> list[Operation]:
    """Every operation of the API, or those with, or without, a body; of many resources alike, `varied` has some."""
    return [
        each
        for each in all_operations(api.engine)
        if (body is None or bool(each.body) is body)
        and not (varied and each.resource and each.resource.name not in VARIED)
    ]


async def send(api: Api, operation: Operation, attack: Attack, path: str = "") -> Response:
    """Send an attack to an operation."""
    target = (path or path_of(operation)) + (f"?{attack.query}" if attack.query else "")
    body = attack.body if attack.body is not None else b"{}" if operation.body else None
    return await api.request(operation.method, target, body=body, headers=dict(attack.headers), key=api.admin_key)


def wrong_with(response: Response, attack: Attack) -> str:
    """What of a refusal is not as it must be, or nothing."""
    try:
        envelope = check_envelope(response, attack.status)
        assert attack.code in ("", envelope["error"]["code"]), envelope["error"]
        assert hostile.PERSONAL.encode() not in response.body, "it repeats what was sent"
        assert len(response.body) < 40_000, "it is longer than anybody reads"
    except AssertionError as error:
        return f"{error}"[:500]
    return ""


async def refused(asked: Iterable[tuple[str, Awaitable[Response], Attack]]) -> None:
    """Make the requests, some at once, and fail with all that are not refused as they must be."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, answer: Awaitable[Response], attack: Attack) -> str:
        async with gate:
            try:
                wrong = wrong_with(await answer, attack)
            except (OSError, IndexError, ValueError, TimeoutError) as error:
                wrong = f"no answer: {error!r}"
        return f"{name}: {attack.name}: {wrong}" if wrong else ""

    outcomes = await asyncio.gather(*(one(*each) for each in asked))
    wrong = [each for each in outcomes if each]
    assert not wrong, f"{len(wrong)} of {len(outcomes)}:\n" + "\n".join(wrong[:40])


@pytest.fixture(scope="module")
async def fort(shop: Api) -> Api:
    """The API with a webhook, a report and a key that opens nothing, the only rows that could be changed."""
    told = {"name": "erp", "resource": "customer", "url": "http://127.0.0.1:9/{externalCustomerId}"}
    assert (await shop.admin("POST", "/webhooks", json=told)).status == 201
    mailed = {"name": "daily", "recipients": ["operations@example.com"]}
    assert (await shop.admin("POST", "/reports", json=mailed)).status == 201
    async with shop.engine.pool.acquire() as connection:
        insert = "insert into api_key (id, name, digest, scopes, created_at) values ($1, 'x', $2, '{jobs:read}', now())"
        await connection.execute(insert, KEY, b"\0" * 32)
    return shop


@asynccontextmanager
async def nothing_written(api: Api) -> AsyncIterator[None]:
    """See that a block leaves every table as it was."""
    before = await api.stored()
    yield
    assert await api.stored() == before


async def test_no_route_takes_a_hostile_body(fort: Api) -> None:
    """A body that is no JSON object, too large, too deep or of another type is refused by every route."""
    async with nothing_written(fort):
        await refused(
            (f"{operation.method} {operation.path}", send(fort, operation, attack), attack)
            for operation in operations(fort, body=True, varied=True)
            for attack in hostile.BODIES
            # What is too large for one record is not too large for a thousand.
            if attack.status != 413 or not operation.action.endswith("_MANY")
        )


@EACH_RESOURCE
async def test_no_field_takes_a_hostile_value(fort: Api, resource: Resource) -> None:
    """A value of another type, beyond its limits or that can't be stored is refused with a pointer to it."""
    good = msgspec.json.encode(least(resource, 1)).decode()[1:-1]
    asked = []
    for i, (name, text) in enumerate(hostile.wrong_members(RESOURCES, resource)):
        members = msgspec.json.decode(f"{{{good}}}")
        members.pop(name, None)
        rest = msgspec.json.encode(members).decode()[1:-1]
        body = f'{{{rest}{", " if rest else ""}"{name}": {text}}}'
        if i % 3 == 0:
            body = f'{{"{resource.name}": {body}}}'
        attack = Attack(name=f"{name} {text[:60]}", body=body.encode("utf-8", "surrogatepass"))
        path = f"/v2/public/{resource.collection}" + ("/nobody" if i % 2 else "")
        asked.append((resource.name, fort.request("PUT" if i % 2 else "POST", path, body=attack.body), attack))
    assert len(asked) > 80
    async with nothing_written(fort):
        await refused(asked)


async def test_no_route_takes_a_hostile_query(fort: Api) -> None:
    """A query that is unknown, repeated, too long or no text is refused by every route."""
    async with nothing_written(fort):
        await refused(
            (f"{operation.method} {operation.path}", send(fort, operation, attack), attack)
            for operation in operations(fort, varied=True)
            for attack in queries.QUERIES
        )


@EACH_RESOURCE
async def test_no_list_takes_a_hostile_parameter(fort: Api, resource: Resource) -> None:
    """Limits, offsets, sorts, fields and filters that make no sense are refused, never ignored."""
    path = f"/v2/public/{resource.collection}"
    attacks = [*queries.LISTS, *queries.wrong_filters(RESOURCES, resource)]
    await refused((resource.name, fort.request("GET", f"{path}?{each.query}"), each) for each in attacks)


async def test_no_delivery_list_takes_a_hostile_parameter(fort: Api) -> None:
    """Deliveries are asked for by what they have, within limits."""
    await refused(("deliveries", fort.admin("GET", f"/deliveries?{each.query}"), each) for each in queries.DELIVERIES)


async def test_no_route_takes_hostile_headers(fort: Api) -> None:
    """Headers that are no HTTP, too many or make no sense are refused by every route."""
    async with nothing_written(fort):
        await refused(
            (f"{operation.method} {operation.path}", send(fort, operation, attack), attack)
            for operation in operations(fort, varied=True)
            for attack in hostile.HEADERS
        )


async def test_what_needs_no_key_takes_no_hostile_headers_either(fort: Api) -> None:
    """Documents and the state of health are as closed to what is no HTTP as everything else."""
    paths = ("/health/live", "/health/ready", *(f"/v2/{part}/{name}" for part in ("public", "admin") for name in OPEN))
    attacks = [each for each in hostile.HEADERS if each.status != 406] + [queries.QUERIES[-1]]
    await refused(
        (path, fort.request("GET", f"{path}?{each.query}", headers=dict(each.headers), key=""), each)
        for path in paths
        for each in attacks
    )


async def test_no_route_opens_without_a_key(fort: Api) -> None:
    """Every route is closed to whoever has no key, and says which header it wants."""
    async with nothing_written(fort):
        asked = []
        for operation in operations(fort):
            name = f"{operation.method} {operation.path}"
            asked += [(name, send(fort, operation, attack), attack) for attack in hostile.KEYS]
            body = b"{}" if operation.body else None
            missing = fort.request(operation.method, path_of(operation), body=body, key="")
            asked.append((name, missing, Attack(name="no header", status=401, code="UNAUTHORIZED")))
        await refused(asked)


async def test_no_route_takes_a_hostile_id(fort: Api) -> None:
    """Ids that no URL can hold, too long or with controls are refused wherever an id stands in a path."""
    asked = []
    for operation in operations(fort, varied=True):
        if "{" in operation.path:
            start, _, rest = operation.path.partition("{")
            end = re.sub(r"\{\w+\}", "nobody", rest.partition("}")[2])
            for each in queries.PATH_IDS:
                # Ids of the administration are numbers or words that are not there, or uuids that are none.
                known = start.startswith("/v2/admin") and start != "/v2/admin/operations/"
                readable = "%" not in each or each in READABLE or each.startswith("%F0")
                query = "externalId=nobody" if end == "/explain" else ""
                attack = Attack(name=each[:40], query=query, status=404 if known and readable else 400)
                asked.append((f"{operation.method} {start}", send(fort, operation, attack, start + each + end), attack))
    async with nothing_written(fort):
        await refused(asked)


async def test_paths_that_lead_nowhere_are_not_found(fort: Api) -> None:
    """A path that no route has is a 404 in the envelope, with a key and without."""
    attack = Attack(name="nowhere", status=404, code="ROUTE_NOT_FOUND")
    paths = ["/v2", "/v2/public", "/v2/public/", "/v2/public/customers/", "/v2/public/customers/a/b/c"]
    paths += ["/v2/public/custmers", "/v2/public/CUSTOMERS", "/v2/admin", "/.env"]
    paths += ["/v2/public/customers/external/a/b", "//v2/public/customers", "/v2/public//customers", "/v1/public/users"]
    paths += ["/v2/public/../admin/webhooks", "/v2/admin/webhooks/1/x", "/v2/public/customers;x=1", "/%2e%2e/etc"]
    methods = ("GET", "PUT", "POST", "DELETE")
    await refused(
        (f"{method} {path}", fort.request(method, path, key=key), attack)
        for path in paths
        for method in methods
        for key in ("", fort.admin_key)
    )


async def test_a_slash_too_many_leads_nowhere(fort: Api) -> None:
    """A path with a slash at its end is another path, and nobody is sent elsewhere."""
    attack = Attack(name="a slash", status=404, code="ROUTE_NOT_FOUND")
    paths = ("/v2/public/customers/external/", "/v2/public/customers/a/", "/v2/admin/webhooks/1/")
    await refused((path, fort.request("GET", path, key=fort.admin_key), attack) for path in paths)


async def test_other_methods_are_refused(fort: Api) -> None:
    """A method that a path does not take is a 405 that names those that it takes."""
    by_path: dict[str, set[str]] = {}
    for operation in operations(fort):
        by_path.setdefault(path_of(operation).replace("nobody", NOBODY), set()).add(operation.method)
    asked = []
    for path, methods in by_path.items():
        for method in sorted({"TRACE", "PATCH", "DELETE", "PUT", "POST", "PROPFIND", "CONNECT"} - methods):
            attack = Attack(name=method, status=405, code="METHOD_NOT_ALLOWED")
            asked.append((path, fort.request(method, path, key=fort.admin_key), attack))
    async with nothing_written(fort):
        await refused(asked)
    wrong = []
    for path, methods in by_path.items():
        answer = await fort.request("TRACE", path, key=fort.admin_key)
        allowed = {each.strip() for each in answer.headers.get("allow", "").split(",")} - {"HEAD", "OPTIONS"}
        if allowed != methods:
            wrong.append(f"{path}: expected {sorted(methods)}, got {sorted(allowed)}")
    assert not wrong, "\n".join(wrong)


async def test_methods_that_http_does_not_know_are_refused(fort: Api) -> None:
    """What is no method at all never reaches a route."""
    attacks = [Attack(name=each, status=400) for each in ("FROBNICATE", "get", "GE T", "")]
    await refused((each.name, fort.request(each.name, "/v2/public/customers"), each) for each in attacks)


async def test_options_are_answered_everywhere(fort: Api) -> None:
    """A browser may ask before it calls, without a key, on every path, and learns what that path takes."""
    by_path: dict[str, set[str]] = {}
    for operation in operations(fort):
        by_path.setdefault(path_of(operation).replace("nobody", NOBODY), set()).add(operation.method)
    for path, methods in by_path.items():
        answer = await fort.request("OPTIONS", path, key="", headers={"Origin": "https://shop.example.com"})
        assert check_envelope(answer, 200)["result"] is None
        allowed = set(answer.headers["access-control-allow-methods"].split(", "))
        assert allowed == methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
        assert answer.headers["allow"] == answer.headers["access-control-allow-methods"]
    assert (await fort.request("OPTIONS", "/v2/public/nowhere", key="")).error["code"] == "ROUTE_NOT_FOUND"


async def test_a_browser_may_send_every_header_that_is_documented(fort: Api) -> None:
    """The headers that an operation can be asked with are those that a page of another origin may send."""
    answer = await fort.request("OPTIONS", "/v2/public/customers", key="", headers={"Origin": "https://example.com"})
    allowed = set(answer.headers["access-control-allow-headers"].split(", "))
    made = (await fort.request("GET", "/v2/public/openapi.json", key="")).json
    asked = {
        each["name"]
        for item in made["paths"].values()
        for operation in item.values()
        for each in operation.get("parameters", ())
        if each.get("in") == "header"
    }
    assert asked | {"Authorization", "Content-Type", "Accept"} <= allowed
    assert "If-Match" in asked


async def test_head_is_a_get_without_a_body(fort: Api) -> None:
    """HEAD answers with the status and the headers of GET, and no body, also where it is refused."""
    for operation in operations(fort):
        if operation.method == "GET":
            path = path_of(operation)
            get, head = [await fort.request(each, path, key=fort.admin_key) for each in ("GET", "HEAD")]
            assert head.status == get.status
            assert head.body == b""
            assert head.headers.keys() == get.headers.keys()
            assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.body))
            assert (await fort.request("HEAD", path, key="")).status == 401


@pytest.mark.parametrize("case", wire.REFUSED, ids=lambda case: case.name)
async def test_what_is_no_http_is_refused(fort: Api, case: wire.Case) -> None:
    """Bytes that are no HTTP, or lie about their length, are answered with a 4xx in the envelope and a close."""
    async with nothing_written(fort):
        came = await fort.raw(case.bytes_for(fort.key), close=case.close)
        answers = [read(b"HTTP/1.1 " + each) for each in came.split(b"HTTP/1.1 ")[1:]]
        assert not wrong_with(answers[0], Attack(name=case.name, status=case.status))
        # What is left over of a request that lied about its length is no request either.
        assert not any(wrong_with(each, Attack(name=case.name)) for each in answers[1:])


@pytest.mark.parametrize("case", wire.TAKEN, ids=lambda case: case.name)
async def test_unusual_http_is_understood(shop: Api, case: wire.Case) -> None:
    """HTTP that few clients send, curl's Expect among it, is served like any other."""
    answer = read(await shop.raw(case.bytes_for(shop.key), close=case.close))
    assert check_envelope(answer, case.status)["error"] is None


@pytest.mark.parametrize("count", [1, 2])
async def test_whoever_ends_his_side_is_answered(shop: Api, count: int) -> None:
    """What came whole before a half-close is answered, and then the connection closes; half a request is refused."""
    key = f"Host: x\r\nAuthorization: API_KEY {shop.key}\r\n\r\n"
    get = f"GET /v2/public/customers HTTP/1.1\r\n{key}".encode()
    put = wire.put(shop.key, b'{"firstName": "Ada"}', path="/customers/half-closed")
    wait = f"GET /v2/public/changes?since=now&wait=1 HTTP/1.1\r\n{key}".encode()
    for sent, more in ((get, b""), (put, b""), (wait, b""), (get, b"GET /"), (put, put[:-1])):
        answers = (await shop.raw(sent * count + more, close=True)).split(b"HTTP/1.1 ")[1:]
        assert [each[:3] for each in answers] == [b"200"] * count + [b"400"] * bool(more)
        assert more or b"connection: close" in answers[-1]


async def test_a_refusal_never_answers_another_request(shop: Api) -> None:
    """What follows a good request on its connection can't take the answer from it: 200 first, then the refusal."""
    came = await shop.raw(wire.put(shop.key, b'{"firstName": "Ada"}', path="/customers/pipelined") + b"garbage\r\n\r\n")
    first, second = came.split(b"HTTP/1.1 ")[1:]
    assert [first[:3], second[:3]] == [b"200", b"400"]
    assert (await shop.get("/customers/external/pipelined")).status == 200


TEXTS: Sequence[tuple[str, str]] = (
    ("SQL", "Robert'); drop table customers;--"),
    ("SQL with a comment", "/* */ ' OR 1=1 \\ $1 $$ ; select pg_sleep(1)"),
    ("CSV", "=cmd|' /C calc'!A0"),
    ("HTML", "<script>alert(1)</script><img src=x onerror=alert(1)>"),
    ("templates", "{{7*7}} ${7*7} #{7*7} {% x %} %s %d {0} {externalCustomerId}"),
    ("percent", "%00 %2F 100%"),
    ("JSON", '{"a": "b"}, \\" \\u0041'),
    ("emoji", "😀👩‍👩‍👧‍👦🇬🇧"),
    ("right to left", "\u202eevil\u202c שלום مرحبا"),
    ("combining", "Z̷̛a̵l̶g̸o̴ e\u0301"),
    ("zero width", "a\u200bb\u200c\u200d\ufeffc"),
    ("controls", "a\tb\r\nc\x01\x7f\x85"),
    ("white space", "  a  "),
    ("noncharacters", "\ufffe\uffff\U0010ffff"),
    ("as long as it may be", "é" * 100),
)


@pytest.mark.parametrize("resource", [RESOURCES[name] for name in NAMED], ids=NAMED)
async def test_strange_texts_are_kept_as_they_are(shop: Api, resource: Resource) -> None:
    """Text that is SQL, HTML, a template or of any script is data: it comes back byte for byte, and is found again."""
    name = next(each for each in ("firstName", "name", "sku", "note") if each in resource.fields)
    body = least(resource, 1)
    for i, (what, text) in enumerate(TEXTS):
        unique = {each: f"{what} {i} {text}"[:100] for each in resource.unique if each == "username"}
        key = f"strange-{i}"
        codes = {"code": f"strange-{i}"} if "code" in resource.fields else {}
        sent = body | unique | codes | {name: text, "details": {text[:50]: [text]}}
        put = await shop.put(f"/{resource.collection}/{key}", sent)
        assert put.status == 200, (what, put.body)
        shown = (await shop.get(f"/{resource.collection}/external/{key}")).result
        assert {each: shown[each] for each in (name, "details", *unique)} == {
            each: sent[each] for each in (name, "details", *unique)
        }
        if name in {each.split(".")[0] for each in resource.columns}:
            found = await shop.get(f"/{resource.collection}?fields={name}&{name}={quote(text, safe='')}")
            assert text in [each[name] for each in found.result["rows"]], what
