"""What operators begin and workers go on with: counted first, done once, in steps that changes go before."""

import io
from typing import Any

import msgspec
import pytest

from retailos import observe
from retailos.receiver import Behaviour, Received, Receiver
from tests.conftest import PATIENCE_SECONDS, eventually
from tests.contract.conftest import Api, check_envelope, codes
from tests.contract.delivering import settled, webhook, working

ADA = {"firstName": "Ada", "lastName": "Lovelace"}


async def failed(api: Api, webhook_id: int, count: int, error_class: str = "http_5xx", at: str = "now()") -> None:
    """Make customers whose deliveries to a webhook have failed, `count` of them, as if they had been sent."""
    async with api.engine.pool.acquire() as connection:
        await connection.execute(
            "insert into customers (id, external_id, version, operation, created_at, updated_at, body)"
            " select gen_random_uuid(), $1 || '-' || i, 1, 'create', now(), now(), '{\"firstName\": \"Ada\"}'"
            " from generate_series(1, $2) as i",
            error_class,
            count,
        )
        await connection.execute(
            "insert into delivery (webhook_id, record_id, wanted, status, attempts, error_class, settled_at)"
            f" select $1, id, 1, 'failed', 6, $2, {at} from customers where external_id like $2 || '-%'",
            webhook_id,
            error_class,
        )
        await connection.execute(
            "insert into due select $1, id, 'infinity' from customers where external_id like $2 || '-%'",
            webhook_id,
            error_class,
        )


async def test_deliveries_are_found_by_reason_time_and_resource(api: Api) -> None:
    """The list narrows to an error class, to what settled in a span of time, and to a kind of record."""
    async with Receiver.listen() as receiver:
        made = await webhook(api, receiver, active=False)
        await failed(api, made, 3, "http_5xx", "now() - interval '1 hour'")
        await failed(api, made, 2, "timeout")
        async with api.engine.pool.acquire() as connection:
            half = (
                (await connection.fetchval("select now() - interval '30 minutes'")).isoformat().replace("+00:00", "Z")
            )
        for asked, count in (
            ("errorClass=timeout", 2),
            ("errorClass=timeout&status=failed", 2),
            (f"since={half}", 2),
            (f"until={half}&status=failed", 3),
            (f"until={half}&errorClass=timeout", 0),
            ("resource=customer", 5),
            ("resource=order&status=failed", 0),
        ):
            found = (await api.admin("GET", f"/deliveries?withCount=true&{asked}")).result
            assert found["count"] == len(found["rows"]) == count, asked
        wrong = await api.admin("GET", "/deliveries?errorClass=x&resource=y&since=z")
        assert [each[0] for each in codes(wrong)] == ["errorClass", "resource", "since"]


async def test_deliveries_are_found_by_the_status_of_their_last_attempt(api: Api) -> None:
    """It is the last attempt that counts, whatever became of the delivery since, and a success is no failure."""
    answers = {"a": [500, 503], "b": [503, 503], "c": [429, 429], "d": [503, 200]}

    def answer(received: Received) -> Behaviour:
        return Behaviour(status=answers[received.path.rpartition("/")[2]].pop(0))

    async with Receiver.listen(behaviour=answer) as receiver, working(api):
        made = await webhook(api, receiver, retryLimit=1, retryDelay=0.05)
        for name in "abcd":
            await api.put(f"/customers/{name}", ADA)
            await settled(api, made, name, "delivered" if name == "d" else "failed")
        body = {"webhook": made, "externalIds": ["b"]}
        assert (await api.admin("POST", "/dismissals", json=body)).result["count"] == 1
        for asked, names in (
            ("httpStatus=503", "ab"),
            ("httpStatus=503&status=failed", "a"),
            ("httpStatus=503&status=dismissed", "b"),
            ("httpStatus=429&errorClass=http_later", "c"),
            ("httpStatus=500", ""),
            ("httpStatus=200", ""),
        ):
            found = (await api.admin("GET", f"/deliveries?withCount=true&{asked}")).result
            assert found["count"] == len(names), asked
            assert sorted(each["externalId"] for each in found["rows"]) == list(names), asked
        wrong = await api.admin("GET", "/deliveries?httpStatus=1000")
        assert codes(wrong) == [("httpStatus", "OUT_OF_RANGE")]
        for statuses, count in (([503], 1), ([429, 503], 2), ([500], 0), ([], 0), (None, 2)):
            body = {"webhook": made, "httpStatuses": statuses, "dryRun": True}
            assert (await api.admin("POST", "/requeues", json=body)).result["count"] == count, statuses
        answers["c"] = [200]
        begun = await api.admin("POST", "/requeues", json={"webhook": made, "httpStatuses": [429]})
        await ended(api, begun.result["operations"][0]["id"])
        await settled(api, made, "c", "delivered")
        assert answers["a"] == []
        wrong = await api.admin("POST", "/requeues", json={"webhook": made, "httpStatuses": [99, "503"]})
        assert codes(wrong) == [("/httpStatuses/0", "OUT_OF_RANGE"), ("/httpStatuses/1", "WRONG_TYPE")]


async def ended(api: Api, operation_id: str, status: str = "completed") -> dict[str, Any]:
    """Wait until an operation has ended so, and give it."""

    async def look() -> dict[str, Any]:
        shown: dict[str, Any] = (await api.admin("GET", f"/operations/{operation_id}")).result
        return shown if shown["status"] == status else {}

    # It lets as much wait as the receiver takes, which is little where the worker hardly gets to send.
    return await eventually(look, within_seconds=3 * PATIENCE_SECONDS)


async def requeued(api: Api, **said: Any) -> Any:
    """Ask for a requeue, and give the answer's result."""
    return check_envelope(await api.admin("POST", "/requeues", json=said), 200)["result"]


async def test_a_requeue_takes_what_is_meant_and_counts_it_before(api: Api) -> None:
    """By webhook or all, error class, time and record: the preview and what is owed then are the same number."""
    async with Receiver.listen() as receiver:
        one, two = [await webhook(api, receiver, name=name, active=False) for name in ("one", "two")]
        await failed(api, one, 3, "http_5xx", "now() - interval '1 hour'")
        await failed(api, one, 2, "timeout")
        await failed(api, two, 4, "http_4xx")
        half = "2020-01-01T00:00:00Z"
        async with api.engine.pool.acquire() as connection:
            half = (await connection.fetchval("select now() - interval '30 minutes'")).isoformat()
        cases: list[tuple[dict[str, Any], int]] = [
            ({"webhook": one}, 5),
            ({"webhook": two}, 4),
            ({"all": True}, 9),
            ({"all": True, "errorClasses": ["timeout", "http_4xx"]}, 6),
            ({"webhook": one, "errorClasses": []}, 0),
            ({"webhook": one, "since": half}, 2),
            ({"webhook": one, "until": half}, 3),
            ({"webhook": one, "externalIds": ["timeout-1", "http_5xx-1", "http_4xx-1"]}, 2),
            ({"webhook": one, "recordIds": ["01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"]}, 0),
        ]
        for said, count in cases:
            assert await requeued(api, **said, dryRun=True) == {
                "webhook": said.get("webhook"),
                "count": count,
                "dryRun": True,
                "operations": [],
            }
        done = await requeued(api, webhook=one, externalIds=["timeout-1", "http_5xx-1", "http_4xx-1"])
        assert (done["count"], done["operations"][0]["done"]) == (2, 2)
        assert "timeout-1" not in str(done), "An external id may be personal; only ours are kept."
        done = await requeued(api, all=True)
        assert done["count"] == sum(each["total"] for each in done["operations"]) == 7
        assert [each["webhookId"] for each in done["operations"]] == [one, two]
        assert (await api.admin("GET", "/deliveries?status=owed&withCount=true")).result["count"] == 9
        assert (await requeued(api, all=True))["operations"] == []
        listed = (await api.admin("GET", f"/operations?webhook={one}&kind=requeue&status=completed")).result["rows"]
        assert [each["total"] for each in listed] == [3, 2]
        for nobody in ("webhook=999", "status=active", "kind=backfill"):
            assert (await api.admin("GET", f"/operations?{nobody}")).result["rows"] == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, [("/webhook", "REQUIRED")]),
        ({"webhook": 1, "all": True}, [("/webhook", "REQUIRED")]),
        ({"all": True, "errorClasses": ["nonsense"]}, [("/errorClasses/0", "UNKNOWN_CHOICE")]),
        ({"all": True, "since": "yesterday", "rate": 0}, [("/since", "INVALID_TIMESTAMP"), ("/rate", "OUT_OF_RANGE")]),
        ({"all": True, "recordIds": ["x"]}, [("/recordIds/0", "INVALID_UUID")]),
        ({"all": True, "externalIds": ["x"] * 1001}, [("/externalIds", "TOO_MANY")]),
    ],
)
async def test_a_requeue_that_makes_no_sense_is_refused(shop: Api, said: Any, expected: list[tuple[str, str]]) -> None:
    """All that is wrong is said at once, and nothing is owed."""
    answer = await shop.admin("POST", "/requeues", json=said)
    assert answer.status == 400
    assert codes(answer) == expected


async def test_a_requeue_of_records_that_there_are_not_is_refused(api: Api) -> None:
    """A mistyped external id is told, not passed over."""
    async with Receiver.listen() as receiver:
        made = await webhook(api, receiver)
        await api.put("/customers/c-1", ADA)
        answer = await api.admin("POST", "/requeues", json={"webhook": made, "externalIds": ["c-1", "c-2"]})
        assert codes(answer) == [("/externalIds/1", "UNKNOWN_RECORD")]


async def test_workers_go_on_with_an_operation_and_changes_go_before_it(api: Api) -> None:
    """A long requeue is done in the background, each delivery once; a change meanwhile does not wait for its end."""
    lines = io.StringIO()
    observe.configure(stream=lines)
    # Slow until it was looked at, so that it goes on however long that takes.
    async with Receiver.listen(behaviour=Behaviour(delay_seconds=0.2)) as receiver:
        made = await webhook(api, receiver, concurrency=8)
        await failed(api, made, 600)
        [begun] = (await requeued(api, webhook=made))["operations"]
        assert (begun["status"], begun["total"]) == ("active", 600)
        assert 0 < begun["done"] < 600
        async with working(api), working(api):
            await receiver.expect(20)
            await api.put("/customers/live", ADA)
            await settled(api, made, "live")
            shown = (await api.admin("GET", f"/operations/{begun['id']}")).result
            assert shown["status"] == "active"
            receiver.behave(Behaviour())
            shown = await ended(api, begun["id"])
            await receiver.expect(601)
        assert (shown["done"], shown["skipped"]) == (600, 0)
        assert shown["endedAt"] > shown["createdAt"]
        assert len(receiver.received) == len({each.path for each in receiver.received}) == 601
    events = [msgspec.json.decode(each) for each in lines.getvalue().splitlines()]
    assert [each["done"] for each in events if each["event"] == "OperationEnded"] == [600]


async def test_an_operation_goes_on_where_a_dead_worker_left_it(api: Api) -> None:
    """Each step is done whole or not at all: whoever comes next goes on, and none is requeued twice or left out."""
    async with Receiver.listen() as receiver:
        made = await webhook(api, receiver)
        await failed(api, made, 2_500)
        [begun] = (await requeued(api, webhook=made))["operations"]
        for more in (1_100, 1_500):
            async with working(api):
                await receiver.expect(more)
        async with working(api):
            assert (await ended(api, begun["id"]))["done"] == 2_500
            await receiver.expect(2_500)
        assert receiver.count == 2_500


async def test_an_operation_is_cancelled(api: Api) -> None:
    """What is done stays, what is not is never begun; one that has ended is shown as it ended."""
    async with Receiver.listen() as receiver:
        made = await webhook(api, receiver, active=False)
        await failed(api, made, 2_000)
        [begun] = (await requeued(api, webhook=made, rate=100))["operations"]
        assert (begun["done"], begun["rate"]) == (10, 100)
        cancelled = (await api.admin("DELETE", f"/operations/{begun['id']}")).result
        assert (cancelled["status"], cancelled["done"]) == ("cancelled", 10)
        async with working(api):

            async def forgotten() -> bool:
                async with api.engine.pool.acquire() as connection:
                    left = await connection.fetchval("select count(*) from schedule where kind = 'operation'")
                    return bool(left == 0)

            assert await eventually(forgotten)
        assert (await api.admin("DELETE", f"/operations/{begun['id']}")).result == cancelled
        assert (await requeued(api, webhook=made, dryRun=True))["count"] == 1_990
        nobody = await api.admin("GET", "/operations/01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f")
        assert (nobody.status, nobody.error["code"]) == (404, "RESOURCE_NOT_FOUND")


async def test_a_delivery_that_a_change_has_owed_meanwhile_is_passed_over(api: Api) -> None:
    """A requeue does not touch what is owed already: the newest state goes out once."""
    async with Receiver.listen() as receiver:
        made = await webhook(api, receiver, active=False)
        await failed(api, made, 600)
        [begun] = (await requeued(api, webhook=made, rate=1_000))["operations"]
        for i in range(1, 601):
            assert (await api.put(f"/customers/http_5xx-{i}", ADA)).status == 200
        await api.admin("PUT", f"/webhooks/{made}", json={"active": True})
        async with working(api):
            shown = await ended(api, begun["id"])
            await receiver.expect(600)
        assert (shown["done"], shown["total"]) == (begun["done"], 600)
        assert receiver.count == 600
