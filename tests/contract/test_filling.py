"""Backfill, resync and drift: what a receiver has is brought to what there is, also where nobody changes anything."""

import asyncio
from typing import Any

from retailos.database.pool import acquire, transaction
from retailos.receiver import Behaviour, Receiver
from tests.conftest import eventually
from tests.contract.conftest import Api, Response, check_envelope, codes
from tests.contract.delivering import settled, transaction_of, webhook, working
from tests.contract.test_operations import ended, failed, requeued

ADA = {"firstName": "Ada", "lastName": "Lovelace"}


async def drift(api: Api, webhook_id: int) -> tuple[int, int, int, int]:
    """In sync, behind, failed, and never told."""
    shown = check_envelope(await api.admin("GET", f"/webhooks/{webhook_id}/drift"), 200)["result"]
    return shown["inSync"], shown["behind"], shown["failed"], shown["neverTold"]


async def begun(api: Api, webhook_id: int, word: str, **said: Any) -> str:
    """Begin a backfill or a resync, and give its id."""
    answer = await api.admin("POST", f"/webhooks/{webhook_id}/{word}", json=said)
    shown = check_envelope(answer, 201)["result"]
    assert (shown["kind"], shown["status"]) == (word, "active")
    return str(shown["id"])


async def test_a_backfill_tells_of_everything_that_exists(api: Api) -> None:
    """A new webhook is told of each living record once, as one that it does not know; what it knows is left alone."""
    async with Receiver.listen() as receiver, working(api):
        for i in range(5):
            await api.put(f"/customers/c-{i}", ADA)
        await api.request("DELETE", "/v2/public/customers/external/c-4")
        made = await webhook(api, receiver)
        await api.put("/customers/c-0", ADA | {"title": "Ms"})
        await settled(api, made, "c-0")
        assert await drift(api, made) == (1, 0, 0, 3)
        done = await ended(api, await begun(api, made, "backfill"))
        assert (done["total"], done["done"], done["skipped"]) == (4, 3, 1)
        await receiver.expect(4)
        assert sorted(each.path[-3:] for each in receiver.received) == ["c-0", "c-1", "c-2", "c-3"]
        assert {each.header("X-Ra-Change") for each in receiver.received} == {"created"}
        await settled(api, made, "c-3")
        assert await eventually(lambda: _drifted(api, made, (4, 0, 0, 0)))


async def _drifted(api: Api, webhook_id: int, expected: tuple[int, int, int, int]) -> bool:
    return await drift(api, webhook_id) == expected


async def test_a_webhook_can_be_told_of_everything_from_the_start(api: Api) -> None:
    """`backfill: true` when a webhook is added begins it with the webhook, in one transaction."""
    async with Receiver.listen() as receiver, working(api):
        for i in range(3):
            await api.put(f"/customers/c-{i}", ADA)
        made = await webhook(api, receiver, backfill=True)
        await receiver.expect(3)
        [row] = (await api.admin("GET", f"/operations?webhook={made}")).result["rows"]
        assert (row["kind"], row["total"], row["cause"]) == ("backfill", 3, "operator")
        refused = await api.admin("POST", "/webhooks", json={"backfill": "yes"})
        assert codes(refused) == [("/backfill", "WRONG_TYPE")]


async def test_what_waits_to_fill_a_batch_keeps_nothing_back(api: Api) -> None:
    """Where batches wait to be full, an operation's full ones go out at once; only its last records wait for others."""
    async with Receiver.listen() as receiver, working(api):
        filled: dict[str, Any] = {"url": f"{receiver.url}/v1/retailos/customers", "batchSize": 300, "batchWait": 600}
        made = await webhook(api, receiver, **filled)
        # Deliveries to one webhook failed, of records that another one is told of from the start.
        await failed(api, made, 901)
        [operation] = (await requeued(api, webhook=made))["operations"]
        await ended(api, operation["id"])
        other = await webhook(api, receiver, name="other", backfill=True, **filled)
        [operation] = (await api.admin("GET", f"/operations?webhook={other}")).result["rows"]
        assert (await ended(api, operation["id"]))["done"] == 901
        await receiver.expect(6)
        assert {each.header("X-Ra-Batch-Size") for each in receiver.received} == {"300"}


async def test_a_resync_sends_everything_once_more(api: Api) -> None:
    """Whatever the receiver acknowledged is sent again in its newest state, what failed and what is deleted as well."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver, retryLimit=0)
        for i in range(3):
            await api.put(f"/customers/c-{i}", ADA)
        await receiver.expect(3)
        await api.request("DELETE", "/v2/public/customers/external/c-2")
        await receiver.expect(4)
        receiver.behave(Behaviour(status=500))
        await api.put("/customers/c-1", ADA | {"title": "Ms"})
        await settled(api, made, "c-1", "failed")
        receiver.behave(Behaviour())
        done = await ended(api, await begun(api, made, "resync"))
        assert done["done"] == 3
        await receiver.expect(8)
        again = sorted((each.path[-3:], each.header("X-Ra-Change")) for each in list(receiver.received)[-3:])
        assert again == [("c-0", "updated"), ("c-1", "updated"), ("c-2", "deleted")]
        done = await ended(api, await begun(api, made, "resync", behind=True))
        assert (done["done"], done["skipped"]) == (0, 3)


async def test_a_backfill_sees_what_was_being_written(api: Api) -> None:
    """A record whose writer began before the webhook was there, and commits after it, is told of as well."""
    async with Receiver.listen() as receiver, working(api):
        async with transaction_of(api) as connection:
            await connection.execute(
                "insert into customers (id, external_id, version, operation, created_at, updated_at, body)"
                " values (gen_random_uuid(), 'late', 1, 'create', now(), now(), '{\"firstName\": \"Ada\"}')"
            )
            made = await webhook(api, receiver, backfill=True)
            [row] = (await api.admin("GET", f"/operations?webhook={made}")).result["rows"]

            async def looked_at() -> bool:
                async with api.engine.pool.acquire() as other:
                    return bool(await other.fetchval("select settling_since < now() - interval '1 s' from operation"))

            assert await eventually(looked_at)
            assert (await api.admin("GET", f"/operations/{row['id']}")).result["status"] == "active"
        await receiver.expect(1)
        assert receiver.received[0].path.endswith("late")


async def test_a_paused_webhook_is_owed_and_a_disabled_one_is_not(api: Api) -> None:
    """While paused what changes is owed; while disabled it is not, and enabling owes what was missed, and no more."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver)
        for i in range(3):
            await api.put(f"/customers/c-{i}", ADA)
        await receiver.expect(3)
        await settled(api, made, "c-2")

        async def switched(word: str) -> tuple[bool, bool, int]:
            shown = check_envelope(await api.admin("POST", f"/webhooks/{made}/{word}"), 200)["result"]
            return shown["active"], shown["disabled"], shown["owed"]

        await eventually(lambda: _drifted(api, made, (3, 0, 0, 0)))
        assert await switched("pause") == (False, False, 0)
        await api.put("/customers/c-0", ADA | {"title": "Ms"})
        assert await drift(api, made) == (2, 1, 0, 0)
        assert await switched("disable") == (False, True, 1)
        await api.put("/customers/c-1", ADA | {"title": "Ms"})
        await api.put("/customers/c-9", ADA)
        assert await drift(api, made) == (2, 1, 0, 1)
        for refused in (
            await api.admin("POST", f"/webhooks/{made}/resume"),
            await api.admin("PUT", f"/webhooks/{made}", json={"active": True}),
        ):
            assert codes(refused) == [("/active", "DISABLED")]
        assert (await api.admin("GET", f"/webhooks/{made}")).result["disabled"]
        shown = (await api.admin("POST", f"/webhooks/{made}/enable")).result
        assert (shown["active"], shown["operation"]["selection"]) == (True, {"behind": True})
        await ended(api, shown["operation"]["id"])
        await receiver.expect(6)
        assert sorted(each.path[-3:] for each in list(receiver.received)[3:]) == ["c-0", "c-1", "c-9"]
        assert await eventually(lambda: _drifted(api, made, (4, 0, 0, 0)))
        assert await switched("enable") == (True, False, 0)
        assert (await api.admin("POST", f"/webhooks/{made + 1}/pause")).status == 404


async def test_what_failed_and_may_have_passed_is_requeued_by_policy(api: Api) -> None:
    """A webhook that says so has its failures of passing reasons owed again every so often, and no others."""
    async with Receiver.listen(behaviour=Behaviour(status=503)) as receiver, working(api):
        made = await webhook(api, receiver, retryLimit=0)
        await api.put("/customers/passing", ADA)
        await settled(api, made, "passing", "failed")
        receiver.behave(Behaviour(status=429))
        await api.put("/customers/too-many", ADA)
        await settled(api, made, "too-many", "failed")
        receiver.behave(Behaviour(status=422))
        await api.put("/customers/wrong", ADA)
        await settled(api, made, "wrong", "failed")
        receiver.behave(Behaviour())
        changed = await api.admin("PUT", f"/webhooks/{made}", json={"requeueEvery": 0.2})
        assert changed.result["requeueEvery"] == 0.2
        await settled(api, made, "passing")
        await settled(api, made, "too-many")
        [row] = (await api.admin("GET", f"/operations?webhook={made}")).result["rows"]
        assert (row["cause"], row["done"], row["status"]) == ("policy", 2, "completed")
        receiver.behave(Behaviour(status=503))
        await api.put("/customers/passing", ADA | {"title": "Ms"})
        await settled(api, made, "passing", "failed")
        receiver.behave(Behaviour())
        await settled(api, made, "passing")
        assert (await api.admin("GET", f"/deliveries?webhook={made}&status=failed")).result["rows"][0][
            "externalId"
        ] == "wrong"
        await api.admin("PUT", f"/webhooks/{made}", json={"requeueEvery": 0})
        async with api.engine.pool.acquire() as connection:
            planned = "select count(*) from schedule where kind = 'requeue policy'"
            assert await connection.fetchval(planned) == 0


#: Somebody waits to switch the webhook.
WAITS = """
select count(*) > 0 from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock' and query like '%webhook%'
"""
SWITCH = "update webhook set active = $2, disabled = not $2 where id = $1"


async def test_who_disables_a_webhook_is_not_overtaken(api: Api) -> None:
    """Of a pause, a resumption and an enabling that cross a disabling, none leaves it missing what changes."""
    async with Receiver.listen() as receiver, acquire(api.engine.pool) as operator:
        made = await webhook(api, receiver)

        async def crossing(word: str) -> Response:
            await operator.execute(SWITCH, made, True)
            async with transaction(api.engine.pool) as disabling:
                await disabling.execute(SWITCH, made, False)
                asked = asyncio.create_task(api.admin("POST", f"/webhooks/{made}/{word}"))
                assert await eventually(lambda: operator.fetchval(WAITS))
            return await asked

        assert (await crossing("pause")).result["disabled"]
        assert codes(await crossing("resume")) == [("/active", "DISABLED")]
        assert (await crossing("enable")).result["operation"]["selection"] == {"behind": True}


#: A policy's requeue that goes on, whose steps nobody takes.
GOES_ON = """
insert into operation (id, kind, webhook_id, cause, selection, total, ahead, created_at)
values (gen_random_uuid(), 'requeue', $1, 'policy', '{}', 1, 1, now())
"""
CLOSED = "insert into schedule (kind, subject, due_at) values ('requeue policy', $1, now())"
PUT_OFF = "select due_at > now() from schedule where kind = 'requeue policy'"
ENDED = "update operation set status = 'completed', ended_at = now()"
DUE = "update schedule set due_at = now() where kind = 'requeue policy'"


async def test_a_recovery_during_the_requeue_of_another_is_not_forgotten(api: Api) -> None:
    """What failed between two recoveries is owed again, too, once the requeue of the first has ended."""
    pool = api.engine.pool
    async with Receiver.listen(behaviour=Behaviour(status=503)) as receiver, working(api):
        made = await webhook(api, receiver, retryLimit=0)
        await api.put("/customers/c-0", ADA)
        await settled(api, made, "c-0", "failed")
        receiver.behave(Behaviour())
        await pool.execute(GOES_ON, made)
        await pool.execute(CLOSED, str(made))
        assert await eventually(lambda: pool.fetchval(PUT_OFF))
        await pool.execute(ENDED)
        await pool.execute(DUE)
        await settled(api, made, "c-0")


async def test_failed_deliveries_are_dismissed_and_can_be_requeued(api: Api) -> None:
    """What is dismissed rests: it is no failure any more, until its record changes or it is requeued as such."""
    async with Receiver.listen(behaviour=Behaviour(status=500)) as receiver, working(api):
        made = await webhook(api, receiver, retryLimit=0)
        for i in range(3):
            await api.put(f"/customers/c-{i}", ADA)
            await settled(api, made, f"c-{i}", "failed")
        preview = await api.admin("POST", "/dismissals", json={"webhook": made, "dryRun": True})
        assert (preview.result["count"], preview.result["operations"]) == (3, [])
        done = check_envelope(await api.admin("POST", "/dismissals", json={"webhook": made}), 200)["result"]
        assert [(each["kind"], each["done"]) for each in done["operations"]] == [("dismiss", 3)]
        assert await drift(api, made) == (0, 0, 0, 0)
        assert (await api.admin("POST", "/requeues", json={"webhook": made})).result["count"] == 0
        receiver.behave(Behaviour())
        said = {"webhook": made, "status": "dismissed", "externalIds": ["c-0", "c-1"]}
        assert (await api.admin("POST", "/requeues", json=said)).result["operations"][0]["done"] == 2
        await settled(api, made, "c-0")
        await settled(api, made, "c-1")
        await settled(api, made, "c-2", "dismissed")
        await api.put("/customers/c-2", ADA | {"title": "Ms"})
        await settled(api, made, "c-2")
