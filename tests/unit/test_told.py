"""What the database is told of settlements: each thing that many have in common once, in columns of equal length."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from retailos.deliveries.claim import DOUBTFUL, LEFT, RETURNING, Claim
from retailos.deliveries.outcome import Blame, Delivered, Failed, Held, Outcome, Retry, Skipped
from retailos.deliveries.settlement import Sent, Settlement
from retailos.deliveries.told import told_of
from retailos.exchanges.exchange import ErrorClass, Reply

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
TOKEN = uuid4()
REPLY = Reply(at=NOW, milliseconds=2.0, status=200)
DELIVERED = Delivered()


def settlement(*, attempt: int = 1, outcome: Outcome = DELIVERED, reply: Reply = REPLY, **given: Any) -> Settlement:
    """One of a batch that was taken."""
    claim = Claim(uuid4(), TOKEN, attempt, 0, due_at=1.0)
    return Settlement(claim=claim, version=3, outcome=outcome, reply=reply, **given)


def parts(settlements: list[Settlement]) -> tuple[list[Any], list[Any], list[Any]]:
    """The columns of deliveries, of verdicts and of exchanges."""
    told = told_of(settlements, NOW)
    return list(told[:5]), list(told[5:17]), list(told[17:23])


def test_what_a_batch_has_in_common_is_told_once() -> None:
    """A hundred records of one request share a verdict and an exchange; each has its id, its version and its moment."""
    request_id = uuid4()
    deliveries, verdicts, exchanges = parts([settlement(request_id=request_id) for _ in range(100)])
    assert {len(each) for each in deliveries} == {100}
    assert {len(each) for each in (*verdicts, *exchanges)} == {1}
    assert set(deliveries[3]) == set(deliveries[4]) == {1}


def test_what_differs_is_told_of_each() -> None:
    """A record that was refused, and one that is attempted for the second time, have verdicts of their own."""
    request_id = uuid4()
    refused = Retry(after_seconds=5.0, error_class=ErrorClass.RECORD_REFUSED, blame=Blame.RECORD)
    own = Reply(at=NOW, milliseconds=2.0, status=200, detail="no such store", body=b"{}")
    told = [
        settlement(request_id=request_id),
        settlement(request_id=request_id, outcome=refused, reply=own),
        settlement(request_id=request_id),
        settlement(request_id=request_id, attempt=2),
    ]
    deliveries, verdicts, exchanges = parts(told)
    assert deliveries[3] == [1, 2, 1, 3]
    assert [exchanges[4][each - 1] for each in deliveries[4]] == [b"", b"{}", b"", b""]
    assert verdicts[1] == ("delivered", "retrying", "delivered")
    assert (verdicts[3], verdicts[6], verdicts[10]) == ((None, 5.0, None), (1, 1, 2), (None, "no such store", None))


def test_single_requests_share_their_verdict_alone() -> None:
    """Deliveries that went out one by one have requests and answers of their own, and came to the same."""
    told = [settlement(request_id=uuid4(), reply=Reply(at=NOW, milliseconds=2.0, status=200)) for _ in range(3)]
    deliveries, verdicts, exchanges = parts(told)
    assert (deliveries[3], deliveries[4]) == ([1, 1, 1], [1, 2, 3])
    assert len(verdicts[0]) == 1
    assert exchanges[0] == tuple(each.request_id for each in told)


TOLD, TELLS = UUID(int=8), UUID(int=9)
NEVER_SENT = Reply(at=NOW, milliseconds=2.0, error=ErrorClass.CONNECTION_REFUSED, sent=False)


def came_to_nothing(error_class: ErrorClass) -> list[Outcome]:
    """An attempt that failed so, as it is retried, given up and held."""
    return [
        Retry(after_seconds=5.0, error_class=error_class, blame=Blame.RECORD),
        Failed(error_class=error_class, blame=Blame.RECORD),
        Held(error_class=error_class, blame=Blame.RECEIVER),
    ]


@pytest.mark.parametrize(
    ("acknowledged", "told", "outcome", "reply", "expected"),
    [
        (1, TOLD, DELIVERED, REPLY, TELLS),
        (1, TOLD, Skipped(acknowledged=True), None, TELLS),
        (1, TOLD, Skipped(acknowledged=False), None, TOLD),
        # Nothing was sent.
        *((1, TOLD, each, NEVER_SENT, TOLD) for each in came_to_nothing(ErrorClass.CONNECTION_REFUSED)),
        # What was sent may be there, whatever the receiver has answered.
        *((1, TOLD, each, REPLY, DOUBTFUL) for each in came_to_nothing(ErrorClass.HTTP_5XX)),
        *((0, None, each, REPLY, DOUBTFUL) for each in came_to_nothing(ErrorClass.HTTP_LATER)),
        *((0, None, each, REPLY, DOUBTFUL) for each in came_to_nothing(ErrorClass.INVALID_BATCH_ANSWER)),
        *((0, None, each, REPLY, DOUBTFUL) for each in came_to_nothing(ErrorClass.REDIRECT)),
        *((1, LEFT, each, REPLY, RETURNING) for each in came_to_nothing(ErrorClass.HTTP_5XX)),
        *((1, RETURNING, each, REPLY, RETURNING) for each in came_to_nothing(ErrorClass.TIMEOUT)),
        # A refusal is believed where the receiver has nothing of the record.
        *((1, TOLD, each, REPLY, DOUBTFUL) for each in came_to_nothing(ErrorClass.HTTP_4XX)),
        *((1, TOLD, each, REPLY, DOUBTFUL) for each in came_to_nothing(ErrorClass.RECORD_REFUSED)),
        *((1, LEFT, each, REPLY, LEFT) for each in came_to_nothing(ErrorClass.HTTP_4XX)),
        *((0, None, each, REPLY, None) for each in came_to_nothing(ErrorClass.RECORD_REFUSED)),
    ],
)
def test_what_the_receiver_may_have_is_remembered(
    acknowledged: int, told: UUID | None, outcome: Outcome, reply: Reply | None, expected: UUID | None
) -> None:
    """What was acknowledged counts as told; what was sent and not acknowledged leaves open what the receiver has."""
    claim = Claim(uuid4(), TOKEN, 1, acknowledged, told=told, tells=TELLS)
    settled = Settlement(claim=claim, version=3, outcome=outcome, reply=reply)
    assert told_of([settled], NOW)[13] == (expected,)


def test_a_batch_is_told_beside_its_deliveries() -> None:
    """The answer to a batch is kept once, without the NUL that PostgreSQL can't keep."""
    reply = Reply(at=NOW, milliseconds=2.0, status=200, headers=(("x-a", "b\x00c"),), body=b"\x00\xff")
    sent = Sent(request_id=uuid4(), url="http://r/", size=1, bytes=9, reply=reply, warnings=("one",))
    told = told_of([settlement(request_id=sent.request_id, sent=sent)], NOW)
    assert '"headers":[["x-a","bc"]]' in told[-1]
    assert '"body":"AP8="' in told[-1]
    assert told_of([settlement()], NOW)[-1] is None
