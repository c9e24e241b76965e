"""Settlements: what became of each delivery that went out in one request, made of the reply alone."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec

from retailos.webhooks.claim import Claim
from retailos.webhooks.exchange import ErrorClass, Reply, Request
from retailos.webhooks.outcome import Blame, Delivered, Failed, Outcome, read_outcome
from retailos.webhooks.request import Batch
from retailos.webhooks.retry import RetryPolicy

#: What is to be deleted is not there, or not any more: somebody was faster, or the record never came.
_NOT_THERE = (404, 410)
#: Retries are spread by up to a tenth of their delay.
JITTER_MOST = 0.1


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one claim; what was skipped had no request and got no reply."""

    claim: Claim
    version: int
    outcome: Outcome
    request_id: UUID | None = None
    url: str = ""
    reply: Reply | None = None


def settlements(
    batch: Batch, request_id: UUID, request: Request, reply: Reply, policy: RetryPolicy
) -> Iterator[Settlement]:
    """Decide for each delivery of a batch what the reply means to it."""
    for item in batch:
        jitter = random.uniform(0, JITTER_MOST)  # noqa: S311 - it spreads load and guards nothing
        yield Settlement(
            claim=item.claim,
            version=item.record.version,
            outcome=Delivered() if _gone(request, reply) else read_outcome(reply, item.claim.attempt, policy, jitter),
            request_id=request_id,
            url=request.url,
            reply=reply,
        )


def _gone(request: Request, reply: Reply) -> bool:
    return request.method == "DELETE" and reply.status in _NOT_THERE


def unaddressed(batch: Batch, reason: str) -> Iterator[Settlement]:
    """A record that the webhook's URL can't name fails without an attempt at the network; changing it helps."""
    reply = Reply(at=datetime.now(UTC), milliseconds=0.0, error=ErrorClass.INVALID_REQUEST, detail=reason, sent=False)
    outcome = Failed(error_class=ErrorClass.INVALID_REQUEST, blame=Blame.RECORD)
    for item in batch:
        version, request_id = item.record.version, uuid4()
        yield Settlement(claim=item.claim, version=version, outcome=outcome, request_id=request_id, url="", reply=reply)
