"""What an answer means is decided once: delivered, again later, or failed."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retailos.deliveries.outcome import (
    Blame,
    Delivered,
    Divided,
    Failed,
    Held,
    Outcome,
    Retry,
    Skipped,
    error_class_of,
    read_outcome,
    retry_or_fail,
)
from retailos.exchanges.exchange import ErrorClass, Reply
from retailos.webhooks.retry import RetryPolicy

STANDARD = RetryPolicy()
NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
POLICIES = st.builds(
    RetryPolicy,
    retry_limit=st.integers(0, 1000),
    retry_delay=st.floats(0, 1e6),
    retry_backoff=st.booleans(),
    retry_delay_max=st.floats(0, 1e7),
    retry_on=st.sampled_from(["any", "transient"]),
)
JITTERS = st.floats(0, 0.1)


def reply(status: int | None = None, error: ErrorClass | None = None, **fields: Any) -> Reply:
    """A reply that came at noon."""
    return Reply(at=NOON, milliseconds=12.5, status=status, error=error, **fields)


def asked(value: str, **headers: str) -> Reply:
    """A 503 with Retry-After."""
    return reply(503, headers=(("retry-after", value), *headers.items()))


def first(answer: Reply, policy: RetryPolicy = STANDARD) -> Outcome:
    """What a first attempt's reply means, without jitter."""
    return read_outcome(answer, 1, policy, 0.0)


def after_seconds(answer: Reply, policy: RetryPolicy = STANDARD) -> float:
    """Seconds until the retry that follows a first attempt."""
    outcome = first(answer, policy)
    assert isinstance(outcome, Retry)
    return outcome.after_seconds


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 226, 299])
@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"customerId": "c", "error" null}', b'{"error": {}}', b"<html>", b"\x00\xff"]
)
def test_any_2xx_is_a_success_whatever_its_body(status: int, body: bytes) -> None:
    """The guide's own sample answer is not valid JSON, so only the status counts."""
    assert first(reply(status, body=body, truncated=True)) == Delivered()


STATUSES = {
    100: (ErrorClass.HTTP_5XX, Blame.RECEIVER, False),
    101: (ErrorClass.HTTP_5XX, Blame.RECEIVER, False),
    300: (ErrorClass.REDIRECT, Blame.RECORD, False),
    301: (ErrorClass.REDIRECT, Blame.RECORD, False),
    302: (ErrorClass.REDIRECT, Blame.RECORD, False),
    304: (ErrorClass.REDIRECT, Blame.RECORD, False),
    307: (ErrorClass.REDIRECT, Blame.RECORD, False),
    308: (ErrorClass.REDIRECT, Blame.RECORD, False),
    400: (ErrorClass.HTTP_4XX, Blame.RECORD, False),
    401: (ErrorClass.HTTP_4XX, Blame.RECORD, False),
    404: (ErrorClass.HTTP_4XX, Blame.RECORD, False),
    408: (ErrorClass.HTTP_LATER, Blame.RECORD, False),
    410: (ErrorClass.HTTP_4XX, Blame.GONE, False),
    413: (ErrorClass.HTTP_4XX, Blame.RECORD, False),
    422: (ErrorClass.HTTP_4XX, Blame.RECORD, False),
    425: (ErrorClass.HTTP_LATER, Blame.RECORD, False),
    429: (ErrorClass.HTTP_LATER, Blame.RECEIVER, False),
    499: (ErrorClass.HTTP_4XX, Blame.RECORD, False),
    500: (ErrorClass.HTTP_5XX, Blame.RECEIVER, False),
    502: (ErrorClass.HTTP_5XX, Blame.RECEIVER, True),
    503: (ErrorClass.HTTP_5XX, Blame.RECEIVER, False),
    504: (ErrorClass.HTTP_5XX, Blame.RECEIVER, True),
    520: (ErrorClass.HTTP_5XX, Blame.RECEIVER, True),
    524: (ErrorClass.HTTP_5XX, Blame.RECEIVER, True),
    600: (ErrorClass.HTTP_5XX, Blame.RECEIVER, False),
    999: (ErrorClass.HTTP_5XX, Blame.RECEIVER, False),
}


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_other_than_2xx_is_retried_and_blamed_on_record_or_receiver(status: int) -> None:
    """Refusals are the record's, 5xx and 429 the receiver's, and a gateway that gave up leaves doubt."""
    error_class, blame, ambiguous = STATUSES[status]
    expected = Retry(after_seconds=120, error_class=error_class, blame=blame, ambiguous=ambiguous)
    assert first(reply(status)) == expected


UNANSWERED = {
    ErrorClass.TIMEOUT: Blame.RECEIVER,
    ErrorClass.CONNECTION_REFUSED: Blame.RECEIVER,
    ErrorClass.CONNECTION_RESET: Blame.RECEIVER,
    ErrorClass.DNS_ERROR: Blame.RECEIVER,
    ErrorClass.TLS_ERROR: Blame.RECEIVER,
    ErrorClass.BLOCKED_ADDRESS: Blame.RECEIVER,
    ErrorClass.INVALID_ANSWER: Blame.RECEIVER,
    ErrorClass.TOKEN_ERROR: Blame.RECEIVER,
    ErrorClass.INVALID_REQUEST: Blame.RECORD,
}


@pytest.mark.parametrize("error_class", UNANSWERED)
@pytest.mark.parametrize("sent", [True, False])
def test_no_answer_is_no_success_and_leaves_doubt_if_the_request_went_out(error_class: ErrorClass, sent: bool) -> None:
    """What may have reached the receiver may still be applied there; what certainly did not may not."""
    expected = Retry(after_seconds=120, error_class=error_class, blame=UNANSWERED[error_class], ambiguous=sent)
    assert first(reply(error=error_class, sent=sent)) == expected


def test_every_error_class_is_covered_by_these_tables() -> None:
    """A new class must say whose failure it is."""
    of_batches = {ErrorClass.INVALID_BATCH_ANSWER, ErrorClass.RECORD_REFUSED}
    covered = {*UNANSWERED, *(error_class for error_class, *_ in STATUSES.values()), *of_batches}
    assert covered == set(ErrorClass)
    assert get_args(Outcome) == (Delivered, Retry, Failed, Held, Skipped, Divided)


def test_a_refused_batch_record_is_retried_like_any_failure() -> None:
    """A verdict that was read from a successful batch answer follows the same policy."""
    outcome = retry_or_fail(ErrorClass.INVALID_BATCH_ANSWER, reply(200), 6, STANDARD, 0.0)
    assert outcome == Failed(error_class=ErrorClass.INVALID_BATCH_ANSWER, blame=Blame.RECORD)


def test_the_standard_policy_is_five_retries_in_62_minutes() -> None:
    """The guide's example is 5 out of 5 times over an hour."""
    assert STANDARD.schedule() == (120, 240, 480, 960, 1920)
    assert sum(STANDARD.schedule()) == 62 * 60


@pytest.mark.parametrize(
    ("policy", "schedule"),
    [
        (RetryPolicy(retry_limit=0), ()),
        (RetryPolicy(retry_limit=3, retry_backoff=False), (120, 120, 120)),
        (RetryPolicy(retry_limit=4, retry_delay=7200), (7200, 14400, 21600, 21600)),
        (RetryPolicy(retry_limit=2, retry_delay=90_000, retry_backoff=False), (21600, 21600)),
        (RetryPolicy(retry_limit=3, retry_delay=10, retry_delay_max=15), (10, 15, 15)),
        (RetryPolicy(retry_limit=2, retry_delay=0), (0, 0)),
    ],
)
def test_the_delay_doubles_up_to_its_limit(policy: RetryPolicy, schedule: tuple[float, ...]) -> None:
    """The delay before retry n is retryDelay × 2^(n−1) with backoff, and never beyond retryDelayMax."""
    assert policy.schedule() == schedule


def test_the_attempts_are_one_more_than_the_retry_limit() -> None:
    """With the standard policy the sixth attempt is the last."""
    outcomes = [read_outcome(reply(500), number, STANDARD, 0.0) for number in range(1, 8)]
    assert [type(each) for each in outcomes] == [Retry] * 5 + [Failed] * 2
    assert type(read_outcome(reply(500), 1, RetryPolicy(retry_limit=0), 0.0)) is Failed


def test_a_success_counts_however_late_it_comes() -> None:
    """An attempt beyond the limit, made after a requeue, is as good as the first."""
    assert read_outcome(reply(200), 99, STANDARD, 0.0) == Delivered()


@pytest.mark.parametrize(
    ("asking", "seconds"),
    [
        ("300", 300.0),
        ("0", 120.0),
        ("60", 120.0),
        ("  300  ", 300.0),
        ("999999", 21600.0),
        ("9" * 60, 21600.0),
        ("9" * 5000, 120.0),
        ("-5", 120.0),
        ("+300", 120.0),
        ("300.5", 120.0),
        ("3e2", 120.0),
        ("٣٠٠", 120.0),
        ("soon", 120.0),
        ("", 120.0),
        ("Mon, 23 Nov 2026 12:10:00 GMT", 600.0),
        ("Monday, 23-Nov-26 12:10:00 GMT", 600.0),
        ("Mon Nov 23 12:10:00 2026", 600.0),
        ("Mon, 23 Nov 2026 13:10:00 +0100", 600.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 120.0),
        ("Mon, 23 Nov 2099 11:00:00 GMT", 21600.0),
        ("Mon, 33 Nov 2026 11:00:00 GMT", 120.0),
        ("Mon, 23 Nov 99999 11:00:00 GMT", 120.0),
    ],
)
def test_retry_after_is_honoured_within_the_limits(asking: str, seconds: float) -> None:
    """The later of the policy's delay and Retry-After counts, up to retryDelayMax; what can't be read is ignored."""
    assert after_seconds(asked(asking)) == seconds


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 503])
def test_retry_after_is_honoured_on_any_failure(status: int) -> None:
    """Whatever the status, the receiver knows best when it wants to be asked again."""
    assert after_seconds(reply(status, headers=(("retry-after", "500"),))) == 500


def test_the_first_of_two_retry_afters_counts() -> None:
    """A receiver that contradicts itself is taken at its first word."""
    assert after_seconds(reply(503, headers=(("retry-after", "200"), ("retry-after", "900")))) == 200


def test_a_receivers_clock_may_be_wrong() -> None:
    """A date to retry after is measured from the date that the same answer bears."""
    answer = asked("Mon, 23 Nov 2026 15:10:00 GMT", date="Mon, 23 Nov 2026 15:00:00 GMT")
    assert after_seconds(answer) == 600
    assert after_seconds(asked("Mon, 23 Nov 2026 12:10:00 GMT", date="half past nine")) == 600


def test_retry_after_does_not_lengthen_the_list_of_retries() -> None:
    """An answer can put a retry off but not buy another one."""
    assert type(read_outcome(asked("300"), 6, STANDARD, 0.0)) is Failed


@pytest.mark.parametrize(
    ("answer", "again"),
    [
        (reply(500), True),
        (reply(408), True),
        (reply(425), True),
        (reply(429), True),
        (reply(error=ErrorClass.TIMEOUT), True),
        (reply(error=ErrorClass.TLS_ERROR), True),
        (reply(400), False),
        (reply(404), False),
        (reply(410), False),
        (reply(302), False),
        (reply(error=ErrorClass.BLOCKED_ADDRESS), False),
        (reply(error=ErrorClass.INVALID_REQUEST), False),
    ],
)
def test_a_policy_may_retry_only_what_may_pass_by_itself(answer: Reply, again: bool) -> None:
    """With retryOn transient, a refusal fails at once; by default everything is retried, as in the guide."""
    assert isinstance(first(answer, RetryPolicy(retry_on="transient")), Retry if again else Failed)
    assert isinstance(first(answer), Retry)


def every_reply() -> st.SearchStrategy[Reply]:
    """Any status with any headers and body, or any error."""
    names = st.sampled_from(["retry-after", "date", "content-type"])
    headers = st.lists(st.tuples(names, st.text(max_size=80))).map(tuple)
    answered = st.builds(reply, st.integers(100, 999), headers=headers, body=st.binary(), truncated=st.booleans())
    return answered | st.builds(reply, error=st.sampled_from(ErrorClass), sent=st.booleans())


@given(every_reply(), st.integers(1, 10**9), POLICIES, JITTERS)
def test_every_reply_means_something_within_bounds(
    answer: Reply, number: int, policy: RetryPolicy, jitter: float
) -> None:
    """Whatever the other side says, the outcome is one of three and a retry lies within 0 and retryDelayMax + 10 %."""
    outcome = read_outcome(answer, number, policy, jitter)
    match outcome:
        case Delivered():
            assert error_class_of(answer) is None
        case Retry(after_seconds=seconds):
            assert number <= policy.retry_limit
            assert 0 <= seconds <= policy.retry_delay_max * 1.1
        case Failed(error_class=error_class):
            assert error_class == error_class_of(answer)


@given(POLICIES, st.integers(1, 10**9), JITTERS)
def test_the_delay_is_bounded_and_jitter_only_adds(policy: RetryPolicy, number: int, jitter: float) -> None:
    """A delay never overflows, never shrinks as retries go on, and grows by 10 % at the most."""
    plain = policy.delay_before(number)
    assert 0 <= plain <= policy.retry_delay_max
    assert plain <= policy.delay_before(number, jitter) <= plain * 1.1
    assert plain <= policy.delay_before(number + 1)


@pytest.mark.parametrize("seconds", [0, 1, 119, 120, 121, 21_599, 21_600, 21_601, 10**9])
def test_the_later_of_delay_and_retry_after_counts(seconds: int) -> None:
    """Retry-After never brings a retry forward."""
    assert after_seconds(asked(str(seconds))) == min(max(seconds, 120), 21_600)
