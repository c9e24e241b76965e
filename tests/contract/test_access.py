"""From where and how often: networks that may call, networks of a key, requests of a key, and callers who fail."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from retailos import keys
from retailos.database.embedded import Cluster
from retailos.database.pool import Connection
from retailos.keys.text import taken_apart, written
from retailos.settings import Settings
from tests.conftest import with_database
from tests.contract.conftest import Api, Response, check_envelope, read, serving
from tests.contract.streaming import streamed

FAILURES, BURST = 5, 20
HOME, OTHER, AWAY = "203.0.113.9", "203.0.113.10", "198.51.100.7"
PATH = "/customers?limit=1"


@pytest.fixture(scope="module")
async def gate(
    settings: Settings, server: Cluster, administrator: Connection, template: str, numbers: Iterator[int]
) -> AsyncIterator[Api]:
    """The API behind a trusted proxy, which is this machine: whom X-Forwarded-For names may call, or not."""
    name = f"gate_{next(numbers)}"
    await administrator.execute(f"create database {name} template {template} strategy wal_log")
    guarded = replace(
        settings,
        trusted_proxies=(ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")),
        caller_networks=(ip_network("203.0.113.0/24"), ip_network("2001:db8::/32")),
        failures_per_minute=FAILURES,
        requests_per_second=1,
        requests_burst=BURST,
    )
    try:
        async with serving(guarded, with_database(server.url, name)) as running:
            yield running
    finally:
        await administrator.execute(f"drop database {name} with (force)")


async def made(api: Api, **more: Any) -> str:
    """A key of this test's own, which may read unless it is told."""
    given = {"scopes": ("*:read",)} | more
    key = await keys.create(api.engine.pool, name="x", environment="test", pepper=None, **given)
    return key.key


async def ask(api: Api, key: str, at: str | None) -> Response:
    """Ask for customers as somebody at an address, as the proxy tells it."""
    return await api.get(PATH, key=key, headers={"X-Forwarded-For": at} if at else {})


def wrong(key: str) -> str:
    """A text with the id of a key, right check digits and another secret."""
    parts = taken_apart(key)
    assert parts
    return written(parts._replace(secret="0" * 32))


@pytest.mark.parametrize(
    ("at", "status"),
    [
        (HOME, 200),
        (f"{AWAY}, {HOME}", 200),
        (f"{HOME}, 10.1.2.3", 200),
        ("2001:db8::1", 200),
        (f"::ffff:{HOME}", 200),
        (AWAY, 403),
        (f"{HOME}, {AWAY}", 403),
        ("2001:db9::1", 403),
        ("10.1.2.3", 403),
        ("nonsense", 403),
        (f"{HOME}, ", 403),
        (None, 403),
    ],
)
async def test_only_some_networks_may_call(gate: Api, at: str | None, status: int) -> None:
    """Who is not in a network that may call is refused, whatever his key; so is he of whom nobody can tell."""
    answer = await ask(gate, await made(gate), at)
    if status == 200:
        check_envelope(answer, 200)
        return
    for refused in (answer, await ask(gate, "nonsense", at), await ask(gate, "", at)):
        assert check_envelope(refused, 403)["error"]["code"] == "FORBIDDEN"
        assert refused.error["message"]
        assert not any(each in refused.body for each in (b"203.0.113.", b"2001:db8", b"198.51.100", b"nonsense"))


async def test_nothing_but_health_is_served_elsewhere(gate: Api) -> None:
    """Whoever may not call sees no document and no route either; load balancers may ask how the process is."""
    away = {"X-Forwarded-For": AWAY}
    for method, path in (("GET", "/v2/public/docs"), ("GET", "/v2/admin/openapi.json"), ("GET", "/nowhere")):
        assert check_envelope(await gate.request(method, path, headers=away), 403)
        assert (await gate.request(method, path, headers={"X-Forwarded-For": HOME})).status in (200, 404)
    assert (await gate.request("OPTIONS", "/v2/public/customers", headers=away)).status == 403
    for path in ("/health/live", "/health/ready"):
        assert (await gate.request("GET", path, key="", headers=away)).status == 200


@pytest.mark.parametrize("name", ["Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP"])
async def test_no_other_header_tells_the_origin(gate: Api, name: str) -> None:
    """What others put into other headers is not read: `Forwarded` no more than the rest."""
    value = f"for={HOME}" if name == "Forwarded" else HOME
    assert (await gate.get(PATH, headers={name: value})).status == 403
    assert (await gate.get(PATH, headers={name: "for=unknown", "X-Forwarded-For": HOME})).status == 200


async def test_lines_of_a_header_are_one(gate: Api) -> None:
    """Several lines of X-Forwarded-For are read as one, in their order."""
    head = f"GET /v2/public{PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: API_KEY {await made(gate)}"
    for lines, status in (((AWAY, HOME), 200), ((HOME, AWAY), 403)):
        forwarded = "".join(f"\r\nX-Forwarded-For: {line}" for line in lines)
        assert read(await gate.raw(f"{head}{forwarded}\r\n\r\n".encode())).status == status


async def test_without_a_trusted_proxy_nobody_chooses_his_address(settings: Settings, database: str) -> None:
    """Where no proxy is trusted, a caller's address is that of his connection, whatever he says it is."""
    async with serving(replace(settings, caller_networks=(ip_network("203.0.113.0/24"),)), database) as api:
        assert (await ask(api, api.key, HOME)).status == 403
    async with serving(replace(settings, caller_networks=(ip_network("127.0.0.0/8"),)), database) as api:
        assert (await ask(api, api.key, AWAY)).status == 200


async def test_a_key_may_have_networks_of_its_own(gate: Api) -> None:
    """A key opens from its own networks alone, and the refusal tells neither them nor the address."""
    key = await made(gate, networks=(ip_network(f"::ffff:{HOME}/128"), ip_network("2001:db8:1::/48")))
    for at in (HOME, "2001:db8:1::7"):
        assert (await ask(gate, key, at)).status == 200
    for at in (OTHER, "2001:db8:2::7"):
        answer = await ask(gate, key, at)
        assert check_envelope(answer, 403)["error"]["code"] == "FORBIDDEN"
        assert "address" in answer.error["message"]
        assert b"203.0.113." not in answer.body
        assert b"2001:db8" not in answer.body


async def test_a_key_at_a_wrong_address_spends_none_of_its_owners_requests(gate: Api) -> None:
    """Whoever tries a key where it may not be used fails as often as others may, and its owner is served meanwhile."""
    key, at = await made(gate, networks=(ip_network(f"{HOME}/32"),)), "203.0.113.90"
    answers = [await ask(gate, key, at) for _ in range(BURST + 5)]
    assert [answer.status for answer in answers] == [403] * FAILURES + [429] * (BURST + 5 - FAILURES)
    assert check_envelope(answers[0])["error"]["code"] == "FORBIDDEN"
    assert not any("ratelimit" in answer.headers for answer in answers)
    assert check_envelope(answers[-1])["error"]["code"] == "RATE_LIMITED"
    assert int(answers[-1].headers["retry-after"]) >= 1
    served = await ask(gate, key, HOME)
    assert served.status == 200
    assert served.headers["ratelimit"].startswith(f'"key";r={BURST - 1};')


async def test_a_key_is_told_what_is_left_of_its_requests(gate: Api) -> None:
    """Each answer to a key tells its limit and what is left; beyond it is a 429 that says when to come back."""
    key, other = await made(gate), await made(gate)
    left = []
    for _ in range(BURST):
        answer = await ask(gate, key, HOME)
        assert check_envelope(answer, 200)
        assert answer.headers["ratelimit-policy"] == f'"key";q={BURST};w={BURST}'
        left.append(int(answer.headers["ratelimit"].partition(";r=")[2].partition(";")[0]))
    assert left[0] == BURST - 1
    assert left == sorted(left, reverse=True)
    for at in (HOME, OTHER) * BURST:
        refused = await ask(gate, key, at)
        if refused.status == 429:
            break
    assert check_envelope(refused)["error"]["code"] == "RATE_LIMITED"
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["ratelimit"].startswith('"key";r=0;t=')
    assert (await ask(gate, other, HOME)).status == 200
    assert "ratelimit" not in (await ask(gate, "", "2001:db8:99::1")).headers


async def test_what_is_not_limited_is_not_told(settings: Settings, database: str) -> None:
    """Where requests are not limited, no header speaks of a limit."""
    async with serving(replace(settings, requests_per_second=0), database) as api:
        answer = await api.get(PATH)
        assert answer.status == 200
        assert not {"ratelimit", "ratelimit-policy"} & answer.headers.keys()


async def test_a_stream_takes_none_of_its_keys_requests(settings: Settings, database: str) -> None:
    """Looking after a key is no request of it: more streams than its rate live through many changes."""
    async with serving(replace(settings, requests_per_second=1, requests_burst=3), database) as api:
        writers = [await made(api, scopes=("*:write",)) for _ in range(5)]
        async with AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(streamed(api, "?since=now")) for _ in range(3)]
            for i in range(10):
                name = f"told-{i}"
                assert (await api.put(f"/customers/{name}", {"firstName": "Ada"}, key=writers[i % 5])).status == 200
                assert [(await stream.event() or {}).get("externalId") for stream in streams] == [name] * 3


async def test_whoever_waits_takes_one_of_his_keys_requests(settings: Settings, database: str) -> None:
    """A long poll is one request, however often its key is looked at."""
    async with serving(replace(settings, requests_per_second=1, requests_burst=5), database) as api:
        answers = await asyncio.gather(*(api.get("/changes?since=now&wait=3") for _ in range(5)))
        assert [answer.status for answer in answers] == [200] * 5


async def test_whoever_fails_too_often_waits(gate: Api) -> None:
    """After so many wrong secrets for one key from one address the next ones are 429s, with when to come back."""
    at, key = "203.0.113.50", await made(gate)
    answers = [await ask(gate, wrong(key), at) for _ in range(FAILURES + 3)]
    assert [answer.status for answer in answers] == [401] * FAILURES + [429] * 3
    error = check_envelope(answers[-1])["error"]
    assert error["code"] == "RATE_LIMITED"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60 / FAILURES
    assert (await ask(gate, key, at)).status == 429, "a secret can be guessed all the same"


async def test_a_good_key_is_not_shut_out_by_others(gate: Api) -> None:
    """Failures with a key shut out neither those who use it elsewhere, nor other keys, nor who used it before."""
    at, key, other, used = "203.0.113.60", await made(gate), await made(gate), await made(gate)
    assert (await ask(gate, used, at)).status == 200
    for each in (key, used):
        assert [(await ask(gate, wrong(each), at)).status for _ in range(FAILURES + 1)] == [401] * FAILURES + [429]
    assert (await ask(gate, key, at)).status == 429
    assert (await ask(gate, key, "203.0.113.61")).status == 200
    assert (await ask(gate, other, at)).status == 200
    assert (await ask(gate, used, at)).status == 200


async def test_whoever_sends_no_key_waits_as_well(gate: Api) -> None:
    """Requests without a key, with half a key or with another scheme count as failures too."""
    at = {"X-Forwarded-For": "203.0.113.70"}
    sent = [at, at | {"Authorization": "API_KEY rk_test_x"}, at | {"Authorization": "Basic eA=="}]
    statuses = [(await gate.get(PATH, key="", headers=headers)).status for headers in sent * 2]
    assert statuses == [401] * FAILURES + [429]


async def test_a_revoked_key_is_a_failure_like_any_other(gate: Api) -> None:
    """A key that was good once and is no more is limited too."""
    at, key = "203.0.113.80", await made(gate)
    parts = taken_apart(key)
    assert parts
    await keys.revoke(gate.engine.pool, parts.id)
    assert [(await ask(gate, key, at)).status for _ in range(FAILURES + 1)] == [401] * FAILURES + [429]
