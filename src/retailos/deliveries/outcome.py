"""What the answer to an attempt means, decided once: delivered, again at a later time, or failed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final, Literal

from retailos.exchanges.exchange import ErrorClass, Reply, class_of_status
from retailos.webhooks.retry import RetryPolicy

#: Classes of failures that may pass without anyone changing the record or the webhook.
TRANSIENT: Final = frozenset(
    {
        ErrorClass.HTTP_LATER,
        ErrorClass.HTTP_5XX,
        ErrorClass.TIMEOUT,
        ErrorClass.CONNECTION_REFUSED,
        ErrorClass.CONNECTION_RESET,
        ErrorClass.DNS_ERROR,
        ErrorClass.TLS_ERROR,
        ErrorClass.INVALID_ANSWER,
        ErrorClass.TOKEN_ERROR,
    }
)
#: Classes by which a receiver says that it has not taken what it got. No other answer but a 2xx tells what it did.
REFUSALS: Final = frozenset({ErrorClass.HTTP_4XX, ErrorClass.RECORD_REFUSED})
#: Of what is refused for now, only 429 is about more than the request.
_OF_THE_RECEIVER: Final = (TRANSIENT | {ErrorClass.BLOCKED_ADDRESS}) - {ErrorClass.HTTP_LATER}
#: Statuses of a proxy that gave up on the receiver behind it, which may apply the request all the same.
_STATUSES_THAT_LEAVE_DOUBT: Final = frozenset({502, 504, 520, 524})
_TOO_MANY_REQUESTS: Final = 429
_GONE: Final = 410
#: An HTTP-date has 29 characters, the longest of the obsolete forms 33.
_LONGEST_RETRY_AFTER: Final = 64


class Blame(StrEnum):
    """Whose failure it was, for what comes of it beyond this delivery."""

    #: The request was refused; another record's may pass.
    RECORD = "record"
    #: Nothing gets through just now; the webhook's breaker counts these.
    RECEIVER = "receiver"
    #: 410: the receiver wants no more of this; the webhook is paused and its operators are alerted.
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The receiver acknowledged what was sent."""

    #: Never; here so that every outcome can be asked.
    ambiguous: Literal[False] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Not delivered; to be attempted again after a while."""

    after_seconds: float
    error_class: ErrorClass
    blame: Blame
    #: The request may still be applied later, over something newer.
    ambiguous: bool = False
    #: For how long the answer asks to be left in peace, as far as that is heeded.
    asked_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Not delivered, and not to be attempted again unless it is requeued or the record changes."""

    error_class: ErrorClass
    blame: Blame
    #: The request may still be applied later, over something newer.
    ambiguous: bool = False
    #: As above.
    asked_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Not delivered because nothing gets through just now; it waits for that, and the attempt does not count."""

    error_class: ErrorClass
    blame: Blame
    #: The request may still be applied later, over something newer.
    ambiguous: bool = False
    #: It waits so long at the least, since the answer asks for it.
    after_seconds: float = 0.0


class Why(StrEnum):
    """Why a version is not told."""

    #: The record is none of those that the webhook is told of.
    FILTERED = "filtered"
    #: Nothing changed that the webhook watches.
    UNCHANGED = "unchanged"
    #: The receiver itself sent what the record is now.
    ECHO = "echo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Divided:
    """A batch was refused as a whole, which settles nothing: its halves are sent next, under the same claims."""

    error_class: ErrorClass
    #: Never: it was refused.
    ambiguous: Literal[False] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Nothing was sent, since this webhook is not to be told of this version."""

    #: The receiver has the version: what it would be told, it knows.
    acknowledged: bool
    why: Why = Why.FILTERED
    #: Never; here so that every outcome can be asked.
    ambiguous: Literal[False] = False


Outcome = Delivered | Retry | Failed | Held | Skipped | Divided


def read_outcome(reply: Reply, attempt_number: int, policy: RetryPolicy, jitter: float) -> Delivered | Retry | Failed:
    """Decide what a reply means: any 2xx is a success whatever its body, anything else is not.

    `attempt_number` counts this cycle's attempts from 1; there are 1 + retryLimit of them. `jitter` is from 0 to 0.1.
    What a batch says of its records is read elsewhere, from a reply that is a success here.
    """
    error_class = error_class_of(reply)
    if error_class is None:
        return Delivered()
    return retry_or_fail(error_class, reply, attempt_number, policy, jitter)


def retry_or_fail(
    error_class: ErrorClass, reply: Reply, attempt_number: int, policy: RetryPolicy, jitter: float
) -> Retry | Failed:
    """Decide when, if ever, something that failed for this reason is attempted again.

    The later of the policy's delay and the answer's Retry-After counts, which retryDelayMax limits.
    """
    blame, ambiguous = _blame(error_class, reply.status), _leaves_doubt(reply)
    asked = min(_retry_after(reply), policy.retry_delay_max)
    exhausted = attempt_number > policy.retry_limit
    if exhausted or (policy.retry_on == "transient" and error_class not in TRANSIENT):
        return Failed(error_class=error_class, blame=blame, ambiguous=ambiguous, asked_seconds=asked)
    after = max(policy.delay_before(attempt_number, jitter), asked)
    return Retry(after_seconds=after, error_class=error_class, blame=blame, ambiguous=ambiguous, asked_seconds=asked)


def error_class_of(reply: Reply) -> ErrorClass | None:
    """The class of a reply's error, None for a 2xx."""
    if reply.status is None:
        return reply.error or ErrorClass.INVALID_ANSWER
    return class_of_status(reply.status)


def _blame(error_class: ErrorClass, status: int | None) -> Blame:
    if status == _GONE:
        return Blame.GONE
    if error_class in _OF_THE_RECEIVER or status == _TOO_MANY_REQUESTS:
        return Blame.RECEIVER
    return Blame.RECORD


def _leaves_doubt(reply: Reply) -> bool:
    if reply.status is None:
        return reply.sent
    return reply.status in _STATUSES_THAT_LEAVE_DOUBT


def _retry_after(reply: Reply) -> float:
    """Seconds that the answer asks to wait, 0 if it asks for none or can't be understood."""
    text = (reply.header("retry-after") or "").strip()
    if not text or len(text) > _LONGEST_RETRY_AFTER:
        return 0.0
    if text.isascii() and text.isdigit():
        return float(text)
    until = _http_date(text)
    if until is None:
        return 0.0
    # Both by the receiver's clock where it tells its own time, so that a clock that is off makes no difference.
    since = _http_date(reply.header("date") or "") or reply.at
    return max((until - since) / timedelta(seconds=1), 0.0)


def _http_date(text: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
