"""When nothing gets through: deliveries are held, attempts are not burnt, and what was mended is found out soon."""

import time
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import pytest

from retailos.declare.values import moment
from retailos.observe.deliveries import BreakerClosed, BreakerOpened, WebhookGone
from retailos.receiver import Behaviour, Receiver
from retailos.sending.worker import LOOK_SECONDS
from tests.conftest import eventually, observed
from tests.contract.conftest import Api, check_envelope, codes
from tests.contract.delivering import HOLD_SECONDS, all_settled, most_at_once, settled, webhook, working

DOWN = Behaviour(status=500)
#: Few failures open it, and a probe comes every second.
QUICK: Mapping[str, Any] = MappingProxyType(
    {"breaker": "on", "breakerFailures": 3, "breakerProbe": 1, "concurrency": 4, "retryLimit": 5, "retryDelay": 3600}
)


async def shown(api: Api, made: int) -> dict[str, Any]:
    """A webhook as it is shown."""
    answer: dict[str, Any] = (await api.admin("GET", f"/webhooks/{made}")).result
    return answer


async def held(api: Api, made: int) -> dict[str, Any]:
    """Wait until the webhook's deliveries are held."""

    async def look() -> dict[str, Any]:
        found = await shown(api, made)
        return found if found["heldSince"] else {}

    return await eventually(look)


async def write(api: Api, count: int, name: str = "A") -> None:
    """Change so many customers."""
    rows = [{"externalCustomerId": f"c-{i}", "firstName": name} for i in range(count)]
    assert (await api.put("/customers", {"customers": rows})).status == 200


async def rows(api: Api, made: int) -> list[dict[str, Any]]:
    """The webhook's deliveries."""
    found: list[dict[str, Any]] = (await api.admin("GET", f"/deliveries?webhook={made}&limit=500")).result["rows"]
    return found


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The observations that were made, by name."""
    return [type(each).__name__ for each in observed(caplog)]


async def test_an_outage_costs_some_requests_and_no_attempts(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """Forty deliveries wait for a receiver that is down; a few requests find that out, a few ask, and all arrive."""
    async with Receiver.listen(behaviour=DOWN) as receiver, working(api):
        made = await webhook(api, receiver, **QUICK)
        begun = time.monotonic()
        await write(api, 40)
        await held(api, made)
        at_first = receiver.count
        # By the time that it is seen to be held, probes may have gone out.
        assert at_first <= 3 + 4 + int(time.monotonic() - begun)
        await receiver.expect(at_first + 2)
        waiting = await rows(api, made)
        assert {each["status"] for each in waiting} <= {"owed", "sending", "retrying"}
        assert sum(each["attempts"] for each in waiting) <= 3 + 4 + 1
        receiver.behave(Behaviour())
        await api.admin("POST", "/requeues", json={"webhook": made})
        async with api.engine.pool.acquire() as connection:
            await connection.execute("update due set due_at = now() where due_at > now()")
        await all_settled(api)
        assert (await shown(api, made))["heldSince"] is None
    assert receiver.count <= at_first + 40 + 6
    assert said(caplog).count(BreakerOpened.__name__) == said(caplog).count(BreakerClosed.__name__) == 1


async def test_a_probe_counts_no_attempt(api: Api) -> None:
    """However often the receiver is probed, the deliveries have the attempts that they had when the breaker opened."""
    async with Receiver.listen(behaviour=DOWN) as receiver, working(api):
        made = await webhook(api, receiver, **{**QUICK, "concurrency": 1})
        await write(api, 10)
        await held(api, made)

        async def counted() -> tuple[int, ...]:
            # What is being sent has counted its attempt, until it is settled.
            waiting = await rows(api, made)
            idle = all(each["status"] != "sending" for each in waiting)
            return (sum(each["attempts"] for each in waiting),) if idle else ()

        before = await eventually(counted)
        await receiver.expect(receiver.count + 3)

        async def unchanged() -> bool:
            return await counted() == before

        assert await eventually(unchanged)


async def test_probes_are_one_at_a_time_over_all_workers(api: Api) -> None:
    """Three workers ask a receiver that is down no more often than one would."""
    async with Receiver.listen(behaviour=DOWN) as receiver, working(api), working(api), working(api):
        made = await webhook(api, receiver, **QUICK)
        await write(api, 30)
        await held(api, made)
        # Each worker looks once a second: what another had begun before it looked is still on its way.
        told = time.monotonic() + 3
        await receiver.wait_until(lambda receiver: sum(each.at > told for each in receiver.received) >= 4)
        probes = [each.at for each in receiver.received if each.at > told]
    # One that a busy machine kept waiting arrives nearer to the next; three workers would not be a second apart at all.
    assert probes[3] - probes[0] > 2.4, probes
    assert min(later - earlier for earlier, later in pairwise(probes)) > 0.5, probes


IN_PEACE = "select count(*) = 8 and min(due_at) > now() + interval '50 minutes' from due"


async def test_what_is_held_waits_as_long_as_the_answer_asks(api: Api) -> None:
    """A record is not sent again before the seconds of a Retry-After, be it held or a probe, but if something changes:
    the record, or the webhook, from which all that was held goes out.
    """
    patient = Behaviour(status=503, retry_after=3600)
    async with Receiver.listen(behaviour=patient) as receiver, Receiver.listen() as mended, working(api):
        made = await webhook(api, receiver, **QUICK)
        await write(api, 8)
        await held(api, made)
        assert await eventually(lambda: api.engine.pool.fetchval(IN_PEACE))
        assert receiver.count == 8
        waiting = {each["externalId"]: each["attempts"] for each in await rows(api, made) if each["status"] == "owed"}
        assert set(waiting.values()) == {0}
        await write(api, 1, "B")
        await receiver.expect(9)
        assert await eventually(lambda: api.engine.pool.fetchval(IN_PEACE))
        url = f"{mended.url}/{{externalCustomerId}}"
        assert (await api.admin("PUT", f"/webhooks/{made}", json={"url": url})).status == 200
        for name in waiting:
            await settled(api, made, name)


async def test_what_one_worker_finds_mended_all_send_to(api: Api) -> None:
    """The worker whose probe gets through closes the breaker for the other one too, which sends its share again."""
    async with Receiver.listen(behaviour=DOWN) as receiver, working(api), working(api):
        made = await webhook(api, receiver, **QUICK)
        await write(api, 40)
        await held(api, made)
        before = receiver.count
        await receiver.expect(before + 2)
        receiver.behave(Behaviour(delay_seconds=HOLD_SECONDS))
        mended = time.monotonic()
        await write(api, 100, "B")
        await all_settled(api)
    # Each has two of the four requests at once.
    assert most_at_once([each for each in receiver.received if each.at > mended], HOLD_SECONDS * 0.9) >= 3


async def test_a_breaker_that_is_off_is_the_guides_policy(api: Api) -> None:
    """With `breaker: off` each delivery has its attempts, one after the other, and fails."""
    async with Receiver.listen(behaviour=DOWN) as receiver, working(api):
        made = await webhook(api, receiver, breaker="off", breakerFailures=1)
        await write(api, 10)
        await all_settled(api, "failed")
        assert (receiver.count, (await shown(api, made))["heldSince"]) == (30, None)


async def test_a_breaker_that_is_switched_off_holds_nothing_any_more(api: Api) -> None:
    """Who switches an open breaker off has everything attempted at once, and the opening is over."""
    async with Receiver.listen(behaviour=DOWN) as receiver, working(api):
        made = await webhook(api, receiver, **{**QUICK, "breakerProbe": 3600, "retryLimit": 0})
        await write(api, 8)
        await held(api, made)
        changed = await api.admin("PUT", f"/webhooks/{made}", json={"breaker": "off"})
        assert (changed.result["breaker"], changed.result["heldSince"]) == ("off", None)
        await all_settled(api, "failed")
        [opening] = (await api.admin("GET", f"/webhooks/{made}/openings")).result["rows"]
        assert opening["closedAt"] is not None


async def test_what_is_retried_later_is_not_held(api: Api) -> None:
    """Of what a receiver is behind with, the breaker holds what would go out now; the rest waits for its own retry."""
    async with Receiver.listen(behaviour=DOWN) as receiver, working(api):
        made = await webhook(api, receiver, **{**QUICK, "breakerProbe": 60})
        await api.put("/customers/early", {"firstName": "A"})
        await settled(api, made, "early", "retrying")
        await write(api, 8)
        await held(api, made)

        async def at_rest() -> list[str]:
            states = [each["status"] for each in await rows(api, made)]
            return [] if "sending" in states else states

        states = await eventually(at_rest)
        drift = (await api.admin("GET", f"/webhooks/{made}/drift")).result
    assert "retrying" in states
    assert (drift["behind"], drift["held"]) == (9, 9 - states.count("retrying"))


async def test_when_deliveries_were_held_is_told(api: Api) -> None:
    """Openings are listed, the one that lasts without an end; and a delivery's story says until when it waited."""
    async with Receiver.listen(behaviour=DOWN) as receiver, working(api):
        made = await webhook(api, receiver, **QUICK)
        openings = f"/webhooks/{made}/openings"
        assert check_envelope(await api.admin("GET", openings), 200)["result"] == {"count": None, "rows": []}
        await write(api, 8)
        since = (await held(api, made))["heldSince"]
        [opening] = (await api.admin("GET", openings)).result["rows"]
        assert (opening["openedAt"], opening["closedAt"], opening["failures"] >= 3) == (since, None, True)
        await api.put("/customers/late", {"firstName": "A"})

        async def all_held() -> bool:
            drift = (await api.admin("GET", f"/webhooks/{made}/drift")).result
            return (drift["behind"], drift["held"] > 0) == (9, True)

        # A probe is under way now and then.
        await eventually(all_held)
        receiver.behave(Behaviour())
        await settled(api, made, "late")
        # What failed before the breaker opened waits for its own retry, an hour from now.
        async with api.engine.pool.acquire() as connection:
            await connection.execute("update due set due_at = now() where due_at > now()")
        await all_settled(api)
        assert (await api.admin("GET", f"/webhooks/{made}/drift")).result["held"] == 0
        [opening] = (await api.admin("GET", openings)).result["rows"]
        until = f"{moment(opening['closedAt']):%Y-%m-%d %H:%M:%S}"
        story = (await api.admin("GET", f"/webhooks/{made}/explain?externalId=late")).result["happenings"]
        texts = [each["text"] for each in story]
        assert texts[1:] == [f"v1: held by the breaker until {until} UTC", "v1: delivered"]
        assert story[0]["at"] == story[1]["at"]
        assert (await api.admin("GET", f"{openings}?offset=1")).result["rows"] == []
        assert codes(await api.admin("GET", f"{openings}?limit=0x1")) == [("limit", "OUT_OF_RANGE")]
        assert (await api.admin("GET", "/webhooks/999999/openings")).status == 404


async def test_a_refused_record_holds_nobody_up(api: Api) -> None:
    """A receiver that answers 400 to everything is there: each record fails by itself, and no breaker opens."""
    async with Receiver.listen(behaviour=Behaviour(status=400)) as receiver, working(api):
        made = await webhook(api, receiver, retryLimit=0, breaker="on", breakerFailures=2)
        await write(api, 10)
        await all_settled(api, "failed")
        assert (receiver.count, (await shown(api, made))["heldSince"]) == (10, None)


async def test_a_changed_webhook_is_probed_at_once(api: Api) -> None:
    """Who mends a webhook's settings need not wait for the next probe."""
    async with Receiver.listen(behaviour=DOWN) as broken, Receiver.listen() as mended, working(api):
        made = await webhook(api, broken, **{**QUICK, "breakerProbe": 3600, "retryDelay": 0.1})
        await write(api, 8)
        await held(api, made)

        async def idle() -> bool:
            return all(each["status"] != "sending" for each in await rows(api, made))

        # What was under way when the breaker opened may still be.
        await eventually(idle)
        before = broken.count
        url = f"{mended.url}/{{externalCustomerId}}"
        assert (await api.admin("PUT", f"/webhooks/{made}", json={"url": url})).status == 200
        await mended.expect(1)
        assert broken.count == before


#: What need not be sent is due before all else.
FIRST = """
update due set due_at = now() - interval '1 h' from customers where id = record_id and external_id like 'other-%'
"""


async def test_a_probe_is_made_with_what_is_sent(api: Api) -> None:
    """Records that the webhook is not told of are passed over by a probe, which finds out at once what was mended."""
    async with Receiver.listen(behaviour=DOWN) as receiver, working(api):
        made = await webhook(api, receiver, **{**QUICK, "breakerProbe": 3600, "where": {"firstName": "A"}})
        await write(api, 8)
        await held(api, made)
        rows = [{"externalCustomerId": f"other-{i}", "firstName": "B"} for i in range(5)]
        assert (await api.put("/customers", {"customers": rows})).status == 200
        assert await api.engine.pool.execute(FIRST) == "UPDATE 5"
        receiver.behave(Behaviour())
        # Whoever saves a webhook has it probed.
        assert (await api.admin("PUT", f"/webhooks/{made}", json={"retryDelay": 0.1})).status == 200

        async def closed() -> bool:
            return (await shown(api, made))["heldSince"] is None

        assert await eventually(closed)
        await settled(api, made, "other-4", "skipped")


async def test_who_was_gone_before_the_webhook_changed_does_not_pause_it(api: Api) -> None:
    """A 410 of the receiver that a webhook had before leaves it sending to the one that it has now."""
    # Longer than a worker takes to hear of the change, on a busy machine too.
    gone = Behaviour(status=410, delay_seconds=4 * LOOK_SECONDS)
    async with Receiver.listen(behaviour=gone) as former, Receiver.listen() as receiver, working(api):
        made = await webhook(api, former, concurrency=1)
        await write(api, 3)
        await former.expect(1)
        url = f"{receiver.url}/{{externalCustomerId}}"
        assert (await api.admin("PUT", f"/webhooks/{made}", json={"url": url})).status == 200
        await all_settled(api)
        assert (former.count, receiver.count) == (1, 3)
        now = await shown(api, made)
        assert (now["active"], now["pausedReason"]) == (True, None)


async def test_a_receiver_that_is_gone_pauses_its_webhook(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """After a 410 nothing is sent until somebody resumes the webhook, which says why; nothing is lost or counted."""
    async with Receiver.listen(behaviour=Behaviour(status=410)) as receiver, working(api):
        made = await webhook(api, receiver, concurrency=1, retryLimit=0)
        await write(api, 5)

        async def paused() -> dict[str, Any]:
            found = await shown(api, made)
            return found if not found["active"] else {}

        assert "410" in (await eventually(paused))["pausedReason"]
        assert receiver.count <= 2

        async def owed() -> bool:
            return {(each["status"], each["attempts"]) for each in await rows(api, made)} == {("owed", 0)}

        assert await eventually(owed)
        receiver.behave(Behaviour())
        resumed = await api.admin("PUT", f"/webhooks/{made}", json={"active": True})
        assert (resumed.result["active"], resumed.result["pausedReason"]) == (True, None)
        await all_settled(api)
    assert said(caplog).count(WebhookGone.__name__) == 1


async def test_only_what_may_pass_is_retried_if_so_told(api: Api) -> None:
    """With `retryOn: transient` a refusal fails at once, and what may pass by itself is attempted again."""
    async with Receiver.listen(behaviour=Behaviour(status=422)) as receiver, working(api):
        made = await webhook(api, receiver, retryOn="transient")
        await write(api, 1)
        assert len((await settled(api, made, "c-0", "failed"))["attemptHistory"]) == 1
        receiver.behave([Behaviour(status=429), Behaviour()])
        await write(api, 1, "B")
        assert len((await settled(api, made, "c-0"))["attemptHistory"]) == 3
