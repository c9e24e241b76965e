"""What answers mean: success, another attempt, failure; what is kept of them, and failed deliveries requeued."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import pytest

from retailos.deliveries.hint import CHANNEL
from retailos.receiver import Behaviour, Received, Receiver
from tests.conftest import eventually, free_port
from tests.contract.conftest import TIMESTAMP, Api, check_envelope
from tests.contract.delivering import all_settled, delivery, settled, webhook, working

ADA = {"firstName": "Ada", "lastName": "Lovelace"}
#: A worker looks once a second for what has become due, and a busy machine adds its own; waits are seen elsewhere.
SLACK_SECONDS = 10.0


async def delivered(
    api: Api, behaviour: Any, status: str = "delivered", **fields: Any
) -> tuple[dict[str, Any], list[Received]]:
    """Deliver one change to a receiver that behaves so; the delivery in its end state, and what was received."""
    async with Receiver.listen(behaviour=behaviour) as receiver, working(api):
        made = await webhook(api, receiver, **fields)
        await api.put("/customers/c-1", ADA)
        shown = await settled(api, made, "c-1", status)
        return shown, list(receiver.received)


async def planned(api: Api, webhook_id: int, attempts: int) -> list[float]:
    """Have so many attempts made, each as soon as the one before it failed; the seconds that each was to wait."""
    waits = []
    for number in range(1, attempts + 1):

        async def failed(number: int = number) -> dict[str, Any]:
            shown = await settled(api, webhook_id, "c-1", "retrying")
            return shown if shown["attempts"] == number else {}

        waits.append(_waits(await eventually(failed)))
        async with api.engine.pool.acquire() as connection:
            await connection.execute("update due set due_at = now()")
            await connection.execute(f"notify {CHANNEL}")
    return waits


def _waits(shown: Mapping[str, Any]) -> float:
    """How many seconds a delivery is to wait since it was settled."""
    settled_at, next_at = (datetime.fromisoformat(shown[name]) for name in ("settledAt", "nextAttemptAt"))
    return (next_at - settled_at).total_seconds()


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"retryBackoff": True}, (10, 20, 40, 80, 160)),
        ({"retryBackoff": False}, (10, 10, 10, 10, 10)),
        ({"retryBackoff": True, "retryDelayMax": 30}, (10, 20, 30, 30, 30)),
        ({"retryDelay": 120}, (120, 240, 480, 960, 1920)),
    ],
    ids=["doubled", "the same", "capped", "the standard"],
)
async def test_each_retry_waits_as_the_policy_says(api: Api, policy: dict[str, Any], expected: tuple[int, ...]) -> None:
    """The delay before retry n is retryDelay, doubled n - 1 times with backoff, capped, and spread by up to a tenth."""
    async with Receiver.listen(behaviour=Behaviour(status=500)) as receiver, working(api):
        made = await webhook(api, receiver, **{"retryLimit": 9, "retryDelay": 10} | policy)
        await api.put("/customers/c-1", ADA)
        waits = await planned(api, made, len(expected))
    for wait, delay in zip(waits, expected, strict=True):
        assert delay <= wait + 0.01
        assert wait <= delay * 1.1 + 0.01
    assert any(wait > delay + 0.02 for wait, delay in zip(waits, expected, strict=True)), "nothing is spread"


@pytest.mark.parametrize(
    ("asked", "expected"), [(25, 25), (1, 10), (3600, 60), (0, 10)], ids=["more", "less", "too much", "nothing"]
)
async def test_an_answer_can_ask_for_patience(api: Api, asked: int, expected: int) -> None:
    """Retry-After is honoured where it asks for more than the policy, up to retryDelayMax."""
    async with Receiver.listen(behaviour=Behaviour(status=503, retry_after=asked)) as receiver, working(api):
        made = await webhook(api, receiver, retryLimit=9, retryDelay=10, retryDelayMax=60)
        await api.put("/customers/c-1", ADA)
        [wait] = await planned(api, made, 1)
    assert expected - 0.01 <= wait <= expected * 1.1 + 0.01


@pytest.mark.parametrize("status", [429, 503])
async def test_a_batch_can_be_asked_for_patience(api: Api, status: int) -> None:
    """A Retry-After beside the refusal of a whole batch counts for each of its records."""
    async with Receiver.listen(behaviour=Behaviour(status=status, retry_after=3600)) as receiver, working(api):
        made = await webhook(api, receiver, url=f"{receiver.url}/all", batchSize=10)
        names = ("c-1", *(f"d-{number}" for number in range(9)))
        await api.put("/customers", {"customers": [ADA | {"externalCustomerId": name} for name in names]})
        await all_settled(api, "retrying")
        waits = [_waits(await delivery(api, made, name)) for name in names]
        assert waits == pytest.approx([3600] * 10, abs=0.01)


async def test_every_attempt_is_told(api: Api) -> None:
    """A delivery is attempted until it is acknowledged, after its delay, and tells its attempts, the newest first."""
    behaviour = [Behaviour(status=500), Behaviour(status=503), Behaviour(status=500), Behaviour()]
    shown, received = await delivered(api, behaviour, retryLimit=5, retryDelay=0.05)
    assert [each.header("x-ra-attempt") for each in received] == ["1", "2", "3", "4"]
    for (earlier, later), delay in zip(pairwise(received), (0.05, 0.1, 0.2), strict=True):
        assert delay <= later.at - earlier.at < delay * 1.1 + SLACK_SECONDS
    assert (shown["status"], shown["attempts"], shown["errorClass"], shown["ambiguous"]) == (
        "delivered",
        0,
        None,
        False,
    )
    history = shown["attemptHistory"]
    assert [(each["number"], each["status"], each["errorClass"]) for each in history] == [
        (4, 200, None),
        (3, 500, "http_5xx"),
        (2, 503, "http_5xx"),
        (1, 500, "http_5xx"),
    ]
    assert [each["requestId"] for each in history] == [each.header("x-ra-request-id") for each in reversed(received)]
    assert len({each["requestId"] for each in history}) == 4
    assert all(TIMESTAMP.fullmatch(each["at"]) and each["milliseconds"] > 0 for each in history)
    assert all(each["url"].endswith("/v1/retailos/customer/c-1") for each in history)


@pytest.mark.parametrize("limit", [0, 2])
async def test_after_the_last_retry_a_delivery_has_failed(api: Api, limit: int) -> None:
    """There is one attempt and retryLimit more, and then none: the delivery has failed and stays so."""
    async with Receiver.listen(behaviour=Behaviour(status=500)) as receiver, working(api):
        made = await webhook(api, receiver, retryLimit=limit, retryDelay=0.01)
        await api.put("/customers/c-1", ADA)
        shown = await settled(api, made, "c-1", "failed")
        assert receiver.count == 1 + limit == shown["attempts"] == len(shown["attemptHistory"])
        assert (shown["errorClass"], shown["nextAttemptAt"], shown["acknowledged"]) == ("http_5xx", None, 0)
        # Another record, delivered later, shows that nothing more was due of the first.
        receiver.behave(Behaviour())
        await api.put("/customers/c-2", ADA)
        await settled(api, made, "c-2")
        assert receiver.count == 2 + limit


async def test_a_change_of_a_failed_record_is_sent_anew(api: Api) -> None:
    """A new change starts a new cycle: its attempts are counted from one, and success clears the failure."""
    async with Receiver.listen(behaviour=[Behaviour(status=500)] * 2 + [Behaviour()]) as receiver, working(api):
        made = await webhook(api, receiver, retryLimit=1, retryDelay=0.01)
        await api.put("/customers/c-1", ADA)
        await settled(api, made, "c-1", "failed")
        await api.put("/customers/c-1", ADA | {"title": "Ms"})
        shown = await settled(api, made, "c-1")
        assert [each.header("x-ra-attempt") for each in receiver.received] == ["1", "2", "1"]
        assert receiver.received[2].header("x-ra-change") == "created"
        assert (shown["errorClass"], shown["acknowledged"]) == (None, 2)


def as_asked(received: Received) -> Behaviour:
    """Answer with the status that is the record's external id."""
    return Behaviour(status=int(received.path.rpartition("/")[2]), body=b"")


async def outcomes(
    api: Api, receiver: Receiver, statuses: Sequence[int], **fields: Any
) -> dict[int, tuple[str, str | None]]:
    """What became of a record for each status that its receiver answered: the delivery's state and error class."""
    made = await webhook(api, receiver, retryLimit=0, **fields)
    for status in statuses:
        assert (await api.put(f"/customers/{status}", ADA)).status == 200

    async def ended() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await api.admin("GET", f"/deliveries?webhook={made}&limit=500")).result["rows"]
        return rows if all(row["status"] in ("delivered", "failed") for row in rows) else []

    rows = await eventually(ended)
    assert receiver.count == len(statuses)
    return {int(row["externalId"]): (row["status"], row["errorClass"]) for row in rows}


async def test_every_2xx_is_a_success(api: Api) -> None:
    """Any 2xx acknowledges what was sent."""
    statuses = (200, 201, 202, 203, 204, 205, 206, 226, 299)
    async with Receiver.listen(behaviour=as_asked) as receiver, working(api):
        assert await outcomes(api, receiver, statuses) == dict.fromkeys(statuses, ("delivered", None))


async def test_4xx_and_5xx_are_no_success(api: Api) -> None:
    """Any 4xx and any 5xx is a failure of its class; a 410, which pauses the webhook, is told elsewhere."""
    statuses = (400, 401, 403, 404, 405, 409, 413, 418, 422, 451, 499, 500, 501, 502, 503, 504, 599)
    later = (408, 425, 429)
    async with Receiver.listen(behaviour=as_asked) as receiver, working(api):
        expected = {status: ("failed", f"http_{status // 100}xx") for status in statuses}
        expected |= dict.fromkeys(later, ("failed", "http_later"))
        assert await outcomes(api, receiver, (*statuses, *later)) == expected


async def test_a_redirect_is_no_success_and_is_not_followed(api: Api) -> None:
    """A 3xx is a failure: whoever it points at gets nothing."""
    statuses = (300, 301, 302, 303, 304, 305, 307, 308)

    def elsewhere(received: Received) -> Behaviour:
        return replace(as_asked(received), headers=(("Location", f"{other.url}/other"),))

    async with Receiver.listen() as other, Receiver.listen(behaviour=elsewhere) as receiver, working(api):
        assert await outcomes(api, receiver, statuses) == dict.fromkeys(statuses, ("failed", "redirect"))
        assert other.connections == 0


BODIES: Mapping[str, tuple[bytes, Any]] = MappingProxyType(
    {
        "not-json": (b'{"customerId": "c-1", "error" null}', '{"customerId": "c-1", "error" null}'),
        "json": (b'{"customerId": "c-1", "error": null}', {"customerId": "c-1", "error": None}),
        "text": (b"OK", "OK"),
        "no-utf-8": (b"<html>\xff</html>", "<html>\ufffd</html>"),
        "empty": (b"", None),
        "array": (b"[1, 2]", [1, 2]),
        "nul": (b"nul\x00l", "nul\x00l"),
        "deep": (b"[" * 5000, "[" * 5000),
        "deep-and-closed": (b"[" * 5000 + b"]" * 5000, "[" * 5000 + "]" * 5000),
        "surrogate": (b'"\\ud800"', '"\\ud800"'),
    }
)


async def test_a_2xx_is_a_success_whatever_its_body(api: Api) -> None:
    """The guide's own sample answer is not JSON: a 2xx counts all the same, and what can't be read is kept as text."""

    def answer(received: Received) -> Behaviour:
        return Behaviour(body=BODIES[received.path.rpartition("/")[2]][0])

    async with Receiver.listen(behaviour=answer) as receiver, working(api):
        made = await webhook(api, receiver, retryLimit=0)
        for name in BODIES:
            await api.put(f"/customers/{name}", ADA)
        for name, (_, kept) in BODIES.items():
            [attempt] = (await settled(api, made, name))["attemptHistory"]
            assert attempt["responseBody"] == kept, name
        assert receiver.count == len(BODIES)


async def test_a_refusal_is_kept_with_its_reasons(api: Api) -> None:
    """Status, headers and body of an answer that refuses are kept, so that people see why."""
    why = b'{"error": {"code": "VALIDATION_ERROR", "message": "x", "details": ["Customer email is invalid"]}}'
    behaviour = Behaviour(status=400, body=why, headers=(("X-Trace", "abc"),))
    shown, _ = await delivered(api, behaviour, "failed", retryLimit=0)
    [attempt] = shown["attemptHistory"]
    assert (attempt["status"], attempt["errorClass"], attempt["responseTruncated"]) == (400, "http_4xx", False)
    assert attempt["responseBody"]["error"]["details"] == ["Customer email is invalid"]
    assert ["x-trace", "abc"] in attempt["responseHeaders"]


async def test_a_long_answer_is_kept_to_its_limit(api: Api) -> None:
    """64 KiB of an answer are kept, and it is told that there was more."""
    shown, _ = await delivered(api, Behaviour(body=b"x" * 200_000))
    [attempt] = shown["attemptHistory"]
    assert (attempt["responseBody"], attempt["responseTruncated"]) == ("x" * 65_536, True)


@pytest.mark.parametrize(
    ("behaviour", "error", "ambiguous"),
    [
        (Behaviour(reset=True), "connection_reset", True),
        (Behaviour(drop=True), "connection_reset", True),
        (Behaviour(hang=True), "timeout", True),
    ],
    ids=["reset", "closed", "silent"],
)
async def test_no_answer_is_no_success(api: Api, behaviour: Behaviour, error: str, ambiguous: bool) -> None:
    """Without an answer nobody knows whether the request was applied: it is not a success, and that doubt is kept."""
    shown, received = await delivered(api, behaviour, "failed", retryLimit=0, timeout=1)
    assert len(received) == 1
    assert (shown["errorClass"], shown["ambiguous"], shown["acknowledged"]) == (error, ambiguous, 0)
    [attempt] = shown["attemptHistory"]
    assert (attempt["status"], attempt["responseBody"], attempt["errorClass"]) == (None, None, error)
    assert attempt["detail"]
    assert "c-1" not in attempt["detail"]


async def test_a_receiver_that_is_away_is_told_when_it_is_back(api: Api) -> None:
    """While nobody listens a delivery is retried, certain that nothing arrived, and goes out when somebody does."""
    port = free_port()
    async with working(api):
        url = f"http://127.0.0.1:{port}/{{externalCustomerId}}"
        told = {
            "name": "x",
            "resource": "customer",
            "url": url,
            "retryLimit": 100,
            "retryDelay": 0.05,
            "retryBackoff": False,
        }
        made = (await api.admin("POST", "/webhooks", json=told)).result["id"]
        await api.put("/customers/c-1", ADA)
        shown = await settled(api, made, "c-1", "retrying")
        assert (shown["errorClass"], shown["ambiguous"]) == ("connection_refused", False)
        assert TIMESTAMP.fullmatch(shown["nextAttemptAt"])
        async with Receiver.listen(port=port) as receiver:
            await receiver.expect(1)
            await settled(api, made, "c-1")


async def test_an_address_that_is_forbidden_when_it_is_connected_to_gets_nothing(api: Api) -> None:
    """A webhook is judged again by whoever sends: what was allowed when it was saved may be so no longer."""
    async with Receiver.listen() as receiver, working(api, allow_addresses=()):
        made = await webhook(api, receiver, retryLimit=0)
        await api.put("/customers/c-1", ADA)
        shown = await settled(api, made, "c-1", "failed")
        assert (shown["errorClass"], shown["ambiguous"], receiver.connections) == ("blocked_address", False, 0)


async def test_failed_deliveries_are_requeued(api: Api) -> None:
    """A requeue counts first, then owes every failed delivery of the webhook again; the newest state goes out."""
    async with Receiver.listen(behaviour=Behaviour(status=500)) as receiver, working(api):
        made = await webhook(api, receiver, retryLimit=1, retryDelay=0.01)
        other = await webhook(api, receiver, name="other", retryLimit=0)
        for i in range(5):
            await api.put(f"/customers/c-{i}", ADA)
        await all_settled(api, "failed")
        count = receiver.count
        receiver.behave(Behaviour())
        for _ in range(2):
            preview = await api.admin("POST", "/requeues", json={"webhook": made, "dryRun": True})
            none = {"webhook": made, "count": 5, "dryRun": True, "operations": []}
            assert check_envelope(preview, 200)["result"] == none
        assert receiver.count == count == 15
        assert (await api.admin("GET", f"/deliveries?webhook={made}&status=failed&withCount=true")).result["count"] == 5
        answer = await api.admin("POST", "/requeues", json={"webhook": made})
        assert (answer.result["count"], answer.result["dryRun"]) == (5, False)
        [operation] = answer.result["operations"]
        assert (operation["status"], operation["total"], operation["done"]) == ("completed", 5, 5)
        for i in range(5):
            shown = await settled(api, made, f"c-{i}")
            assert shown["attemptHistory"][0]["number"] == 1
            assert len(shown["attemptHistory"]) == 3
        again = await api.admin("POST", "/requeues", json={"webhook": made})
        assert again.result["count"] == 0
        assert (await api.admin("GET", f"/deliveries?webhook={other}&status=failed&withCount=true")).result[
            "count"
        ] == 5


async def test_a_requeue_sends_what_the_record_is_now(api: Api) -> None:
    """A failed delivery of a record that changed since is sent once, in its newest state."""
    async with Receiver.listen(behaviour=Behaviour(status=500)) as receiver, working(api):
        made = await webhook(api, receiver, retryLimit=0)
        await api.put("/customers/c-1", ADA)
        await settled(api, made, "c-1", "failed")
        await api.admin("PUT", f"/webhooks/{made}", json={"active": False})
        await api.put("/customers/c-1", ADA | {"title": "Ms"})
        receiver.behave(Behaviour())
        assert (await api.admin("POST", "/requeues", json={"webhook": made})).result["count"] == 0
        assert (await delivery(api, made, "c-1"))["status"] == "owed"
        await api.admin("PUT", f"/webhooks/{made}", json={"active": True})
        await settled(api, made, "c-1")
        assert receiver.received[-1].json()["customer"]["title"] == "Ms"
        assert receiver.count == 2


async def test_a_worker_that_stops_gives_back_what_it_did_not_send(api: Api) -> None:
    """A worker that is told to stop ends what is under way; what it had claimed besides is owed as if never taken."""
    async with Receiver.listen(behaviour=Behaviour(delay_seconds=1.0)) as receiver:
        async with working(api):
            made = await webhook(api, receiver, concurrency=1)
            await api.put("/customers", {"customers": [ADA | {"externalCustomerId": f"c-{i}"} for i in range(4)]})
            await receiver.expect(1)
        rows = (await api.admin("GET", f"/deliveries?webhook={made}")).result["rows"]
        assert sorted((row["status"], row["attempts"]) for row in rows) == [("delivered", 0), *[("owed", 0)] * 3]
        receiver.behave(Behaviour())
        async with working(api):
            await all_settled(api)
        assert receiver.count == 4


async def test_two_workers_share_the_work(api: Api) -> None:
    """Two workers deliver each change once."""
    async with Receiver.listen(behaviour=Behaviour(delay_seconds=0.005)) as receiver, working(api), working(api):
        await webhook(api, receiver, concurrency=4)
        for i in range(60):
            await api.put(f"/customers/c-{i}", ADA)
        await all_settled(api)
        assert receiver.count == len({each.path for each in receiver.received}) == 60


async def test_what_a_dead_worker_had_claimed_is_owed_again(api: Api) -> None:
    """When a worker's lease runs out, others send what it had claimed, and remember that it may have arrived."""
    async with Receiver.listen() as receiver:
        made = await webhook(api, receiver, active=False)
        await api.put("/customers/c-1", ADA)
        async with api.engine.pool.acquire() as connection:
            dead = "insert into worker (name, started_at, lease_until) values ('dead', now(), now()) returning id"
            worker = await connection.fetchval(dead)
            claim = "update delivery set status = 'sending', token = gen_random_uuid(), worker_id = $1, attempts = 1"
            await connection.execute(claim, worker)
            await connection.execute("delete from due")
        await api.admin("PUT", f"/webhooks/{made}", json={"active": True})
        async with working(api, lease_seconds=1.0):
            shown = await settled(api, made, "c-1", "confirming")
        assert receiver.count == 1
        assert shown["ambiguous"] is True
        assert [each.header("x-ra-record-version") for each in receiver.received] == ["1"]
