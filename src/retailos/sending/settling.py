"""Settling: what the reply to one request means for each delivery that went out in it, decided once."""

import dataclasses
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

from msgspec.structs import replace

from retailos.deliveries.claim import Claim
from retailos.deliveries.outcome import (
    Blame,
    Delivered,
    Divided,
    Failed,
    Outcome,
    error_class_of,
    read_outcome,
    retry_or_fail,
)
from retailos.deliveries.settlement import Sent, Settlement
from retailos.exchanges.exchange import ANSWER_BYTES_KEPT, ErrorClass, Reply, Request
from retailos.sending.answer import Refusal, Verdicts, read_answer
from retailos.sending.request import Batch
from retailos.webhooks.agreement import Terms
from retailos.webhooks.retry import RetryPolicy

#: What is to be deleted is not there, or not any more: somebody was faster, or the record never came.
_NOT_THERE = (404, 410)
#: Retries are spread by up to a tenth of their delay.
JITTER_MOST = 0.1
#: Why nothing can be sent of a record that has no row.
VANISHED: Final = "the record is not there: it was deleted past the program, which keeps what it deletes"
#: Refusals that may be one record's fault, and would not be another's: RFC 9110, 15.5.1, 15.5.14 and 15.5.21.
WHOLE_REFUSALS: Final = frozenset({400, 413, 422})


def settlements(
    batch: Batch, request_id: UUID, request: Request, reply: Reply, policy: RetryPolicy
) -> Iterator[Settlement]:
    """Decide for each delivery of a request that tells of no more than it what the reply means."""
    for item in batch:
        yield Settlement(
            claim=item.claim,
            version=item.record.version,
            outcome=Delivered()
            if _gone(request, reply)
            else read_outcome(reply, item.claim.attempt, policy, _jitter()),
            request_id=request_id,
            url=request.url,
            reply=reply,
        )


def _gone(request: Request, reply: Reply) -> bool:
    return request.method == "DELETE" and reply.status in _NOT_THERE


def batch_settlements(
    batch: Batch, request_id: UUID, request: Request, reply: Reply, policy: RetryPolicy, terms: Terms | None
) -> Iterator[Settlement]:
    """Decide for each delivery of a batch what the reply means to it, by what was agreed with the receiver."""
    verdicts = _verdicts(batch, reply, terms)
    sent: Sent | None = Sent(
        request_id=request_id,
        url=request.url,
        size=len(batch),
        bytes=len(request.body),
        reply=_kept(reply),
        warnings=verdicts.warnings,
    )
    # What is kept of each delivery; the answer itself is kept once, with the batch.
    shared = replace(reply, headers=(), body=b"", truncated=False)
    of_all = _outcomes(batch, reply, policy)
    for item, refusal in zip(batch, verdicts.refusals, strict=True):
        own = _own(shared, refusal) if refusal else shared
        attempt = item.claim.attempt
        yield Settlement(
            claim=item.claim,
            version=item.record.version,
            outcome=_refused(own, refusal, attempt, policy) if refusal else of_all[attempt],
            request_id=request_id,
            url="",
            reply=own,
            sent=sent,
        )
        sent = None


def unaddressed(batch: Batch, reason: str) -> Iterator[Settlement]:
    """A record that the webhook's URL can't name fails without an attempt at the network; changing it helps."""
    return (_unsendable(item.claim, item.record.version, reason) for item in batch)


def vanished(claims: Iterable[Claim], wanted: Mapping[UUID, int]) -> Iterator[Settlement]:
    """So does a record that somebody has deleted past the program; all that is left of it is the version `wanted`."""
    return (_unsendable(each, wanted[each.record_id], VANISHED) for each in claims if each.record_id in wanted)


def _unsendable(claim: Claim, version: int, reason: str) -> Settlement:
    reply = Reply(at=datetime.now(UTC), milliseconds=0.0, error=ErrorClass.INVALID_REQUEST, detail=reason, sent=False)
    outcome = Failed(error_class=ErrorClass.INVALID_REQUEST, blame=Blame.RECORD)
    return Settlement(claim=claim, version=version, outcome=outcome, request_id=uuid4(), url="", reply=reply)


def refused_whole(batch: Batch, reply: Reply) -> bool:
    """Whether a batch was refused for what may be one record's fault, so that each half of it is asked for alone."""
    return len(batch) > 1 and reply.status in WHOLE_REFUSALS


def _verdicts(batch: Batch, reply: Reply, terms: Terms | None) -> Verdicts:
    if error_class_of(reply) is None:
        return read_answer(terms, [item.record for item in batch], reply)
    nothing: Sequence[Refusal | None] = [None] * len(batch)
    return Verdicts(refusals=nothing)


def _kept(reply: Reply) -> Reply:
    """A reply without what was read of it to be understood alone: it may wait for long to be settled."""
    if len(reply.body) <= ANSWER_BYTES_KEPT:
        return reply
    return replace(reply, body=reply.body[:ANSWER_BYTES_KEPT], truncated=True)


def _own(shared: Reply, refusal: Refusal) -> Reply:
    """The part of a batch's reply that is about one record that was not taken."""
    return replace(shared, status=refusal.status or shared.status, detail=refusal.detail, body=refusal.said)


_DELIVERED: Final = Delivered()


def _refused(reply: Reply, refusal: Refusal, attempt: int, policy: RetryPolicy) -> Outcome:
    """What is decided of one record that was not taken, where others may have been."""
    # The receiver has answered: a 410 or a 503 that it gives one record says nothing of the others.
    found = retry_or_fail(refusal.error_class, reply, attempt, policy, _jitter())
    return dataclasses.replace(found, blame=Blame.RECORD)


def _outcomes(batch: Batch, reply: Reply, policy: RetryPolicy) -> Mapping[int, Outcome]:
    """What the reply means to all that it does not tell apart, by which attempt of theirs it was: decided once."""
    attempts = {item.claim.attempt for item in batch}
    error_class = error_class_of(reply)
    if error_class is None:
        return dict.fromkeys(attempts, _DELIVERED)
    if refused_whole(batch, reply):
        return dict.fromkeys(attempts, Divided(error_class=error_class))
    return {each: retry_or_fail(error_class, reply, each, policy, _jitter()) for each in attempts}


def _jitter() -> float:
    return random.uniform(0, JITTER_MOST)  # noqa: S311 - it spreads load and guards nothing
