"""A request that is applied late, after its timeout, does not have the last word."""

from retailos.receiver import Behaviour, Received, Receiver
from tests.contract.conftest import Api
from tests.contract.delivering import settled, webhook, working

#: A request without an answer is given up after a second, and may be applied for some more, in which the next is sent.
TIMEOUT_SECONDS, LATE_SECONDS = 1.0, 3.0


async def test_what_is_applied_late_is_written_over(api: Api) -> None:
    """The first version is applied after the second was acknowledged; the second is sent once more, and comes last."""

    def late(received: Received) -> Behaviour:
        return Behaviour(hang=received.header("x-ra-record-version") == "1")

    async with Receiver.listen(behaviour=late) as receiver, working(api, late_seconds=LATE_SECONDS):
        made = await webhook(api, receiver, timeout=TIMEOUT_SECONDS, retryDelay=60)
        await api.put("/customers/c-1", {"firstName": "A"})
        [hanging] = await receiver.expect(1)
        await api.put("/customers/c-1", {"firstName": "B"})
        waiting = await settled(api, made, "c-1", "confirming")
        assert (waiting["acknowledged"], waiting["ambiguous"]) == (2, True)
        # As late as it may be: at the end of the life that it has at the most.
        applied_at = hanging.at + TIMEOUT_SECONDS + LATE_SECONDS
        shown = await settled(api, made, "c-1")
    assert (shown["acknowledged"], shown["ambiguous"], shown["attempts"]) == (2, False, 0)
    versions = [(each.header("x-ra-record-version"), each.header("x-ra-attempt")) for each in receiver.received]
    assert versions == [("1", "1"), ("2", "1"), ("2", "1")]
    assert receiver.received[1].at < applied_at < receiver.received[2].at
    history = [(each["version"], each["again"], each["errorClass"]) for each in shown["attemptHistory"]]
    assert history == [(2, True, None), (2, False, None), (1, False, "timeout")]
