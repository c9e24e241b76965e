"""The answer to a batch is read into a verdict for each record, and whatever it says, nothing is taken for granted."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retailos.exchanges.exchange import ErrorClass, Reply
from retailos.resources import RESOURCES
from retailos.sending.answer import (
    DETAIL_LONGEST,
    SAID_LONGEST,
    VALUES_LEAST,
    VALUES_PER_RECORD,
    WARNINGS_MOST,
    Refusal,
    Verdicts,
    read_answer,
)
from retailos.sending.request import Told
from retailos.webhooks.agreement import FORMS, STATUS, Agreement, Terms

CUSTOMER = RESOURCES["customer"]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
REFUSED, INVALID = ErrorClass.RECORD_REFUSED, ErrorClass.INVALID_BATCH_ANSWER


def terms(form: str = "results", **pointers: str) -> Terms:
    """The terms of an agreement for customers."""
    found = Agreement(form=form, **pointers).terms(CUSTOMER)
    assert found is not None
    return found


def record(number: int, external_id: str = "") -> Told:
    """A record of a batch."""
    return Told(id=UUID(int=number), external_id=external_id or f"c-{number}", version=1, operation="update", json="{}")


RECORDS = [record(number) for number in range(3)]


def read(answer: Any, agreed: Terms | None = None, records: list[Told] = RECORDS, **reply: Any) -> Verdicts:
    """Read an answer, JSON or bytes."""
    body = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
    return read_answer(agreed or terms(), records, Reply(at=NOW, milliseconds=1, status=200, body=body, **reply))


def classes(verdicts: Verdicts) -> list[ErrorClass | None]:
    """Why each record was not taken; None: it was."""
    return [each.error_class if each else None for each in verdicts.refusals]


def named(*names: Any, **more: Any) -> list[dict[str, Any]]:
    """Items that name records by their external ids."""
    return [{"externalCustomerId": name} | more for name in names]


ALL = named("c-0", "c-1", "c-2", error=None)


@pytest.mark.parametrize(
    "answer",
    [{"results": ALL}, {"customers": ALL}, ALL, {"results": ALL[::-1]}, {"results": named("c-0", "c-1", "c-2")}],
)
def test_the_default_agreement_has_three_places(answer: Any) -> None:
    """The list stands under `results`, under the plural's name, or alone, in any order; no error is a null one."""
    assert read(answer) == Verdicts(refusals=[None, None, None])


@pytest.mark.parametrize("error", [{}, {"code": "X"}, "no", "", 0, False, [], ["no"]])
def test_anything_but_null_is_an_error(error: Any) -> None:
    """Only null says that there is no error; what else stands there is one."""
    assert classes(read({"results": [*ALL[:2], *named("c-2", error=error)]})) == [None, None, REFUSED]


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        ({"message": "no e-mail", "code": "X"}, "no e-mail"),
        ({"message": 7, "code": "X"}, "X"),
        ("no", "no"),
        ("x" * 999, "x" * DETAIL_LONGEST),
        ({}, "the answer names the record with an error"),
        ("", "the answer names the record with an error"),
    ],
)
def test_an_error_is_told_in_the_receivers_words(error: Any, detail: str) -> None:
    """What the receiver says of a record is the attempt's detail, and all that it says is kept within a limit."""
    verdict = read({"results": [*ALL[:2], *named("c-2", error=error)]}).refusals[2]
    assert verdict is not None
    assert verdict.detail == detail
    assert msgspec.json.decode(verdict.said) == {"externalCustomerId": "c-2", "error": error}
    long = read({"results": named("c-2", error={"text": "x" * 9999})}).refusals[2]
    assert long is not None
    assert len(long.said) == SAID_LONGEST


def test_a_record_that_is_not_named_was_not_taken() -> None:
    """Missing records have failed, and ids that nobody sent are passed over."""
    verdicts = read({"results": [*named("c-1", "stranger", "c-1", None, 7, {}), "c-0", None, [], 1]})
    assert classes(verdicts) == [INVALID, None, INVALID]
    assert verdicts.warnings[:2] == (
        "item 1 of the answer names no record of the batch",
        "item 2 of the answer names a record again",
    )
    assert len(verdicts.warnings) == 9


def test_an_answer_of_too_many_values_is_not_read() -> None:
    """What would take a hundred times its bytes of memory takes nothing; a dozen values of each record are fine."""
    item = {"externalCustomerId": "c-0", "error": {"code": "NO", "message": "a, b, c", "details": [{"field": "e"}] * 4}}
    assert classes(read({"results": [item] * 300}, records=[record(number) for number in range(300)]))[0] is REFUSED
    for odd in (b"1.0,", b"{},", b"[],"):
        verdicts = read(b'{"results": [' + odd * (VALUES_LEAST + 3 * VALUES_PER_RECORD) + b"1]}")
        assert classes(verdicts) == [INVALID] * 3
        assert {each and each.detail for each in verdicts.refusals} == {
            "the answer tells of more than a batch's answer may"
        }


def test_warnings_are_few() -> None:
    """However much is odd, a few warnings are kept, and none quotes what came."""
    warnings = read({"results": named(*["personal"] * 500)}).warnings
    assert (len(warnings), warnings[-1]) == (WARNINGS_MOST, "and 491 more such items")
    assert not any("personal" in each for each in warnings)


@pytest.mark.parametrize("errors", [(None, "no"), ("no", None), (None, "no", None), ("no", None, "no")])
def test_a_contradiction_is_no_success(errors: tuple[Any, ...]) -> None:
    """A record that the answer both takes and refuses was not taken."""
    results = [each for error in errors for each in named("c-0", error=error)]
    assert classes(read({"results": results})) == [INVALID, INVALID, INVALID]


def test_ids_may_be_ours_or_numbers() -> None:
    """A record may be named by our id, and an external id of digits by a number; an external id comes first."""
    records = [record(1, "17"), record(2), record(3, str(UUID(int=2)))]
    results = named(17, "c-2", str(UUID(int=2)), error=None)
    assert classes(read({"results": results}, records=records)) == [None, None, None]
    assert classes(read({"results": named(str(UUID(int=1)))}, records=records)) == [None, INVALID, INVALID]
    assert classes(read({"results": named(True, 17.0, "17 ")}, records=records)) == [INVALID] * 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"OK",
        b"null",
        b"{}",
        b'{"results": null}',
        b'{"results": {}}',
        b'{"error": null}',
        b'{"results": [], "results": [{"externalCustomerId": "c-0"}]}',
        b'{"results": [{"externalCustomerId": "c-0", "error": {}, "error": null}]}',
        b'[{"externalCustomerId": "c-0", "error": NaN}]',
        b'[{"externalCustomerId": "c-0", "\\u0000": 1}]',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"[" + b"1" * 5_000 + b"]",
        b"\xff",
        b'{"results": [',
    ],
)
def test_what_can_not_be_read_takes_nothing(body: bytes) -> None:
    """An answer that is empty, no JSON, ambiguous or of another shape has taken no record."""
    assert classes(read(body)) == [INVALID, INVALID, INVALID]


def test_what_was_cut_off_takes_nothing() -> None:
    """An answer that went on beyond what is read is not read at all, be it JSON so far."""
    assert classes(read(ALL, truncated=True)) == [INVALID, INVALID, INVALID]


def test_the_status_alone() -> None:
    """Where it was agreed, the body is not looked at."""
    assert Agreement(form=STATUS).terms(CUSTOMER) is None
    assert read_answer(None, RECORDS, Reply(at=NOW, milliseconds=1, status=204)).refusals == [None, None, None]


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (200, None),
        ("201", None),
        (299, None),
        (301, ErrorClass.REDIRECT),
        (404, ErrorClass.HTTP_4XX),
        (429, ErrorClass.HTTP_LATER),
        (503, ErrorClass.HTTP_5XX),
        (100, ErrorClass.HTTP_5XX),
        (600, INVALID),
        (20, INVALID),
        ("2OO", INVALID),
        ("²⁰⁰", INVALID),
        (None, INVALID),
        (True, INVALID),
        ([], INVALID),
    ],
)
def test_a_multistatus_has_a_status_for_each(status: Any, error_class: ErrorClass | None) -> None:
    """Each record's own status is judged as that of a single request is."""
    verdicts = read({"results": named("c-0", status=status)}, terms("multistatus"))
    assert classes(verdicts) == [error_class, INVALID, INVALID]
    verdict = verdicts.refusals[0]
    assert verdict is None or verdict.status == (status if error_class is not INVALID else None)


def test_failures_alone_may_be_named() -> None:
    """Where only failures are named, no name is a success, and an empty list takes all."""
    agreed = terms("batchItemFailures")
    assert classes(read({"batchItemFailures": []}, agreed)) == [None, None, None]
    assert classes(read({"batchItemFailures": [{"itemIdentifier": "c-1"}]}, agreed)) == [None, REFUSED, None]


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        ("batchItemFailures", {"batchItemFailures": [{"itemIdentifier": "stranger"}]}),
        ("batchItemFailures", {"batchItemFailures": [{}]}),
        ("batchItemFailures", {"batchItemFailures": ["c-1"]}),
        ("batchItemFailures", {"batchItemFailures": None}),
        ("batchItemFailures", {}),
        ("errors", {"errors": [{"index": 3}]}),
        ("errors", {"errors": [{"index": -1}]}),
        ("errors", {"errors": [{"index": "1x"}]}),
        ("errors", {"errors": [{"index": 1.0}]}),
        ("errors", {"errors": [{"error": "no"}]}),
        ("errors", {"errors": None}),
    ],
)
def test_a_failure_that_nobody_can_tell_is_everybodys(form: str, answer: Any) -> None:
    """Where only failures are named and one names no record, any of them may be it: none was taken."""
    assert classes(read(answer, terms(form))) == [INVALID, INVALID, INVALID]


@pytest.mark.parametrize("answer", [{"errors": [{"index": 1}]}, [{"index": "1", "error": None}]])
def test_failures_may_be_named_by_their_place(answer: Any) -> None:
    """Places are counted from 0, and whatever stands there is a failure."""
    assert classes(read(answer, terms("errors"))) == [None, REFUSED, None]


def test_pointers_lead_anywhere() -> None:
    """List, id and error stand where the webhook says, whatever the agreement's name."""
    agreed = terms(list_at="/meta/rows", id_at="/key/0", error_at="/why~1not/code")
    rows = [{"key": ["c-0"], "why/not": {"code": None}}, {"key": ["c-1"]}, {"key": ["c-2"], "why/not": {"code": 3}}]
    assert classes(read({"meta": {"rows": rows}}, agreed)) == [None, None, REFUSED]
    assert classes(read({"results": ALL}, agreed)) == [INVALID, INVALID, INVALID]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
ITEMS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "externalCustomerId": st.sampled_from(["c-0", "c-1", "c-2", "c-9", "", "\x00"]) | JSON,
            "itemIdentifier": st.sampled_from(["c-0", "c-1", "c-9"]) | JSON,
            "index": st.integers(-1, 4) | JSON,
            "status": st.integers(0, 700) | JSON,
            "error": st.none() | JSON,
        },
    )
    | JSON,
    max_size=6,
)
ANSWERS = (
    JSON | ITEMS | st.dictionaries(st.sampled_from(["results", "customers", "errors", "batchItemFailures"]), ITEMS)
)


@given(answer=ANSWERS, form=st.sampled_from(FORMS))
def test_every_answer_has_a_verdict_for_each_record(answer: Any, form: str) -> None:
    """Whatever JSON comes back, each record has one verdict, and none is taken without being named."""
    agreed = Agreement(form=form).terms(CUSTOMER)
    verdicts = read_answer(agreed, RECORDS, Reply(at=NOW, milliseconds=1, status=200, body=msgspec.json.encode(answer)))
    assert len(verdicts.refusals) == len(RECORDS)
    assert len(verdicts.warnings) <= WARNINGS_MOST
    assert all(each is None or isinstance(each, Refusal) for each in verdicts.refusals)
    if agreed and not agreed.failures_only:
        text = msgspec.json.encode(answer).decode()
        for told, verdict in zip(RECORDS, verdicts.refusals, strict=True):
            assert verdict is not None or told.external_id in text


@given(body=st.binary(max_size=200), form=st.sampled_from([form for form in FORMS if form != STATUS]))
def test_no_bytes_are_believed(body: bytes, form: str) -> None:
    """Bytes that are no agreed answer take nothing and break nothing."""
    assert all(read(body, terms(form)).refusals)


@given(
    taken=st.sets(st.integers(0, 9)),
    order=st.permutations(range(10)),
    strangers=st.lists(st.text(max_size=5), max_size=3),
)
def test_an_honest_answer_is_read_as_it_is_meant(taken: set[int], order: list[int], strangers: list[str]) -> None:
    """Records are found in any order and beside strangers; those with an error are refused and no others."""
    records = [record(number) for number in range(10)]
    results = [{"externalCustomerId": f"c-{n}", "error": None if n in taken else {"message": "no"}} for n in order]
    verdicts = read({"results": [*named(*strangers, error="x"), *results]}, records=records)
    assert classes(verdicts) == [None if number in taken else REFUSED for number in range(10)]
