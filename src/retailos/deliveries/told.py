"""Settlements as the database is told of them: what many have in common once, since each value of an array costs."""

from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from retailos.deliveries.outcome import REFUSALS, Delivered, Divided, Failed, Held, Outcome, Retry, Skipped
from retailos.deliveries.settlement import Sent, Settlement
from retailos.exchanges.exchange import ANSWER_BYTES_KEPT, Reply

_VERDICT_COLUMNS, _EXCHANGE_COLUMNS = 12, 6
_NOTHING = (None,) * _EXCHANGE_COLUMNS


def told_of(settlements: Sequence[Settlement], now: datetime) -> tuple[Any, ...]:
    """The parameters of the statement that settles, behind the first four: deliveries, verdicts, exchanges, batches."""
    verdicts: dict[tuple[Hashable, ...], int] = {}
    exchanges: list[tuple[Any, ...]] = []
    its_verdict: list[int] = []
    its_exchange: list[int] = []
    last: Settlement | None = None
    for each in settlements:
        if last is None or not _alike(each, last):
            if last is None or each.reply is not last.reply or each.request_id is not last.request_id:
                exchanges.append(_exchange(each, now))
            verdict = verdicts.setdefault(_verdict(each), len(verdicts) + 1)
        its_verdict.append(verdict)
        its_exchange.append(len(exchanges))
        last = each
    batches = [_batch(each.sent, now) for each in settlements if each.sent]
    return (
        [each.claim.record_id for each in settlements],
        [each.version for each in settlements],
        [each.claim.due_at for each in settlements],
        its_verdict,
        its_exchange,
        *_columns(verdicts, _VERDICT_COLUMNS),
        *_columns(exchanges, _EXCHANGE_COLUMNS),
        msgspec.json.encode(batches).decode() if batches else None,
    )


def status_of(outcome: Outcome) -> str:
    """The register's word for an outcome."""
    match outcome:
        case Delivered():
            return "delivered"
        case Retry():
            return "retrying"
        case Failed():
            return "failed"
        case Held():
            return "owed"
        case Skipped():
            return "skipped"
        case Divided():
            return "divided"


def _columns(rows: Iterable[tuple[Any, ...]], count: int) -> Iterable[Sequence[Any]]:
    return list(zip(*rows, strict=True)) or [()] * count


def _alike(one: Settlement, other: Settlement) -> bool:
    """Whether two settlements share their verdict and their exchange, as those of one batch do."""
    if one.reply is not other.reply or one.outcome is not other.outcome or one.request_id is not other.request_id:
        return False
    a, b = one.claim, other.claim
    alike = a.token is b.token and a.attempt == b.attempt and a.again is b.again
    return alike and a.told == b.told and a.tells == b.tells and a.known is b.known


def _verdict(settlement: Settlement) -> tuple[Hashable, ...]:
    """What is decided of a delivery, and what is kept of the answer with it."""
    claim, outcome, reply = settlement.claim, settlement.outcome, settlement.reply
    return (
        None if isinstance(outcome, Divided) else claim.token,
        status_of(outcome),
        _acknowledges(outcome),
        outcome.after_seconds if isinstance(outcome, Retry | Held) else None,
        outcome.ambiguous,
        _reason(outcome),
        claim.attempt,
        claim.again,
        _told(settlement),
        reply and reply.status,
        reply and (_kept(reply.detail) or None),
        reply and reply.truncated,
    )


def _acknowledges(outcome: Outcome) -> bool:
    match outcome:
        case Delivered() | Skipped(acknowledged=True):
            return True
        case _:
            return False


def _reason(outcome: Outcome) -> str | None:
    """Why it was not acknowledged, or not even sent."""
    match outcome:
        case Delivered():
            return None
        case Skipped():
            return outcome.why
        case _:
            return outcome.error_class


def _told(settlement: Settlement) -> UUID | None:
    """What the receiver has been told by then, as far as anybody knows."""
    claim = settlement.claim
    if _acknowledges(settlement.outcome):
        return claim.tells
    return claim.doubted if _may_be_applied(settlement) else claim.told


def _may_be_applied(settlement: Settlement) -> bool:
    """Whether the receiver may have what it did not acknowledge, so that nothing may be spared it for that.

    All that is known of an answer is that a 2xx comes after the record was applied. Even a refusal is believed only
    where the receiver has nothing of the record yet: else a doubt costs one request, and only if the record goes back.
    """
    outcome, reply = settlement.outcome, settlement.reply
    match outcome:
        case Retry() | Failed() | Held() if reply is not None and reply.sent:
            return outcome.error_class not in REFUSALS or settlement.claim.known
        case _:
            return outcome.ambiguous


def _exchange(settlement: Settlement, now: datetime) -> tuple[Any, ...]:
    """What the history keeps of a request and its reply, beside what a verdict has of it; nothing was sent: nothing."""
    reply = settlement.reply
    if reply is None:
        return _NOTHING
    headers = _headers(reply)
    return (
        settlement.request_id,
        settlement.url,
        reply.milliseconds,
        headers,
        reply.body,
        _age_seconds(reply, now),
    )


def _batch(sent: Sent, now: datetime) -> dict[str, Any]:
    """A batch as it is kept, by the columns of its table."""
    reply = sent.reply
    return {
        "request_id": sent.request_id,
        "age_seconds": _age_seconds(reply, now),
        "url": sent.url,
        "size": sent.size,
        "bytes": sent.bytes,
        "status": reply.status,
        "detail": _kept(reply.detail) or None,
        "milliseconds": reply.milliseconds,
        "headers": msgspec.Raw((_headers(reply) or "null").encode()),
        "body": reply.body[:ANSWER_BYTES_KEPT],
        "truncated": reply.truncated or len(reply.body) > ANSWER_BYTES_KEPT,
        "warnings": sent.warnings,
    }


def _age_seconds(reply: Reply, now: datetime) -> float:
    """How long ago an exchange began; the database counts back from its own clock."""
    return (now - reply.at).total_seconds() + reply.milliseconds / 1000


def _headers(reply: Reply) -> str | None:
    if not reply.headers:
        return None
    text = msgspec.json.encode(reply.headers).decode()
    if "\\u0000" not in text:
        return text
    return msgspec.json.encode([[_kept(each) for each in pair] for pair in reply.headers]).decode()


def _kept(text: str) -> str:
    """What the other side said, without the NUL that PostgreSQL can't keep."""
    return text.replace("\x00", "")
