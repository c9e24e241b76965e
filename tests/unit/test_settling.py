"""What the reply to one request means for each delivery that went out in it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest
from msgspec.structs import replace

from retailos.deliveries.claim import Claim
from retailos.deliveries.outcome import Blame, Outcome, Retry
from retailos.deliveries.settlement import Settlement
from retailos.exchanges.exchange import ANSWER_BYTES_KEPT, ErrorClass, Reply, Request
from retailos.resources import RESOURCES
from retailos.sending.request import Item, Told
from retailos.sending.settling import batch_settlements
from retailos.webhooks.agreement import MULTISTATUS, Agreement, Terms
from retailos.webhooks.retry import RetryPolicy

POLICY = RetryPolicy(retry_delay=1)
ASKING = (("retry-after", "3600"),)


def batch(*attempts: int) -> Sequence[Item]:
    """Deliveries claimed together, each at one of its attempts."""
    token = uuid4()
    told = Told(id=uuid4(), external_id="", version=1, operation="create", json="{}")
    return [
        Item(Claim(uuid4(), token, attempt, 0), replace(told, external_id=f"c-{place}"))
        for place, attempt in enumerate(attempts)
    ]


def settled(sent: Sequence[Item], status: int, body: bytes = b"", terms: Terms | None = None) -> list[Settlement]:
    """What becomes of a batch by an answer that asks for an hour's patience."""
    reply = Reply(at=datetime.now(UTC), milliseconds=1.0, status=status, headers=ASKING, body=body)
    request = Request(method="PUT", url="http://r/", body=b"{}")
    return list(batch_settlements(sent, uuid4(), request, reply, POLICY, terms))


def after_seconds(outcome: Outcome) -> float:
    """In how many seconds it is attempted again."""
    assert isinstance(outcome, Retry)
    return outcome.after_seconds


@pytest.mark.parametrize("status", [429, 503])
def test_a_refused_batch_waits_as_long_as_it_is_asked_to(status: int) -> None:
    """Retry-After is about every record of the request, as it is about the one of a single request."""
    for size in (1, 10):
        made = settled(batch(*[1] * size), status)
        assert {after_seconds(each.outcome) for each in made} == {3600.0}


def test_a_refused_batch_has_one_outcome_for_each_attempt() -> None:
    """What was decided once is shared: one outcome for the first attempts, one for the second; and one answer."""
    made = settled(batch(1, 2, 1, 6, 2), 500)
    assert made[0].outcome is made[2].outcome
    assert made[1].outcome is made[4].outcome
    assert len({id(each.outcome) for each in made}) == 3
    assert len({id(each.reply) for each in made}) == 1


def test_the_headers_of_a_batch_are_kept_once() -> None:
    """The headers are kept with the batch, not with each of its deliveries, although they were heeded."""
    first, *others = settled(batch(1, 1, 1), 503)
    assert first.sent
    assert first.sent.reply.headers == ASKING
    assert all(each.sent is None for each in others)
    assert all(each.reply and each.reply.headers == () for each in (first, *others))


def test_of_a_long_answer_no_more_waits_than_is_kept() -> None:
    """What was read to find the verdicts is let go once they are found, however long it takes to settle them."""
    first, _ = settled(batch(1, 1), 200, b" " * (ANSWER_BYTES_KEPT + 1))
    assert first.sent
    assert (len(first.sent.reply.body), first.sent.reply.truncated) == (ANSWER_BYTES_KEPT, True)


def test_what_one_record_is_told_keeps_nobody_waiting() -> None:
    """A status of one record within an answer comes without a Retry-After of its own: the policy's delay counts."""
    terms = Agreement(form=MULTISTATUS).terms(RESOURCES["customer"])
    said = [{"externalCustomerId": "c-0", "status": 200}, {"externalCustomerId": "c-1", "status": 503}]
    taken, refused = settled(batch(1, 1), 207, msgspec.json.encode(said), terms)
    assert not isinstance(taken.outcome, Retry)
    assert isinstance(refused.outcome, Retry)
    assert (refused.outcome.error_class, refused.outcome.blame) == (ErrorClass.HTTP_5XX, Blame.RECORD)
    assert refused.outcome.after_seconds < 2
