"""Deliveries are cut into batches of a number and a size; what is left out, sent twice or out of order is none."""

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retailos.deliveries.claim import DOUBTFUL, Claim
from retailos.errors import Problem
from retailos.exchanges.exchange import ANSWER_BYTES_KEPT
from retailos.resources import RESOURCES
from retailos.sending.batch import Limit, cut, halves
from retailos.sending.request import Item, Told, answer_bytes_most, frame_bytes
from retailos.webhooks.agreement import ERRORS, FAILURES, FORMS, MULTISTATUS, RESULTS, STATUS, Agreement
from retailos.webhooks.batching import BYTES_LEAST
from retailos.webhooks.pointer import Pointer, follow, tokens

ID = UUID(int=9)


def item(length: int, text: str = "x") -> Item:
    """A delivery whose record is so many characters of JSON."""
    return Item(Claim(ID, ID, 1, 0), Told(id=ID, external_id="c", version=1, operation="update", json=text * length))


@given(
    lengths=st.lists(st.integers(1, 300), max_size=60),
    size=st.integers(1, 20),
    most=st.integers(50, 1000),
    text=st.sampled_from(["x", "ä", "😀"]),
)
def test_batches_are_full_and_no_fuller(lengths: list[int], size: int, most: int, text: str) -> None:
    """In order and whole, each batch within both limits or a single record, and none that could have had the next."""
    items = [item(length, text) for length in lengths]
    batches = list(cut(items, size, most))

    def filled(batch: list[Item]) -> int:
        return sum(len(each.record.json.encode()) + 1 for each in batch)

    assert [each for batch in batches for each in batch] == items
    assert all(len(batch) == 1 or (len(batch) <= size and filled(list(batch)) <= most) for batch in batches)
    for batch, following in pairwise(batches):
        assert len(batch) == size or filled([*batch, following[0]]) > most


@given(count=st.integers(2, 1000))
def test_a_poisonous_record_is_alone_after_few_halvings(count: int) -> None:
    """Halves are as large as each other, so that ten questions find one of a thousand."""
    asked = 0
    batch = [item(1)] * count
    while len(batch) > 1:
        first, second = halves(batch)
        assert 0 <= len(first) - len(second) <= 1
        assert len(first) + len(second) == len(batch)
        batch, asked = list(first), asked + 1
    assert asked <= 10


def test_what_was_refused_with_others_may_have_been_applied() -> None:
    """What the receiver was told of a record that it has is in doubt; where it has nothing, a refusal is believed."""
    known, new = (Item(Claim(ID, ID, 1, version, told=told), item(1).record) for version, told in ((1, ID), (0, None)))
    assert [each.claim.told for half in halves((known, new)) for each in half] == [DOUBTFUL, None]


def test_a_limit_falls_at_once_and_rises_slowly() -> None:
    """A body that was too large halves the limit; each batch that is taken gives a little back, up to all."""
    limit = Limit(1_000_000)
    limit.grow()
    assert limit.bytes == 1_000_000
    limit.halve(800_000)
    assert limit.bytes == 400_000
    limit.halve(2_000_000)
    assert limit.bytes == 400_000
    grown = 0
    while limit.bytes < 800_000:
        limit.grow()
        grown += 1
    assert 40 < grown < 50
    limit.halve(0)
    assert limit.bytes == BYTES_LEAST
    for _ in range(1000):
        limit.grow()
    assert limit.bytes == 1_000_000


def test_no_more_is_claimed_than_a_batch_holds() -> None:
    """Of large records fewer are claimed at once than batchSize says, of small ones as many, and always one."""
    limit = Limit(10_000_000)
    assert limit.records(1_000) == 1_000
    limit.note(100_000, 100)
    assert limit.records(1_000) == 1_000
    limit.note(10_000_000, 100)
    assert limit.records(1_000) == 100
    limit.halve(10_000_000)
    assert limit.records(1_000) == 50
    limit.note(20_000_000, 1)
    assert limit.records(1_000) == 1


def test_the_frame_of_a_batch_is_counted() -> None:
    """The body is its records, a comma behind each but the last, and the frame."""
    assert frame_bytes(RESOURCES["customer"]) == len('{"customers":[]}')


def test_an_answer_may_be_as_long_as_what_it_may_tell_of() -> None:
    """An id and an error for each record, less where failures alone are named, and no more than is kept otherwise."""
    most = {form: answer_bytes_most(1_000, Agreement(form=form)) for form in FORMS}
    assert most[RESULTS] == most[MULTISTATUS] == ANSWER_BYTES_KEPT + 512_000
    assert most[FAILURES] == most[ERRORS] == ANSWER_BYTES_KEPT + 256_000
    assert most[STATUS] == answer_bytes_most(1, Agreement()) == ANSWER_BYTES_KEPT


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", {"a/b": [{"~": 1}, None], "": 2}),
        ("/a~1b/0/~0", 1),
        ("/a~1b/0", {"~": 1}),
        ("/", 2),
        ("/a~1b/1/x", None),
        ("/a~1b/2", None),
        ("/a~1b/00", None),
        ("/a~1b/-", None),
        ("/a~1b/²", None),
        ("/no", None),
        ("/a~1b/0/~0/x", None),
    ],
)
def test_a_pointer_is_followed(pointer: str, found: object) -> None:
    """A pointer leads through names and indexes; where it leads nowhere is nothing, and no error."""
    assert follow({"a/b": [{"~": 1}, None], "": 2}, tokens(pointer)) == found


@pytest.mark.parametrize("text", ["results", "/~", "/~2", "a/b", "#/a"])
def test_what_is_no_pointer_is_refused(text: str) -> None:
    """A text that RFC 6901 does not know is a problem that says what is expected."""
    problems: list[Problem] = []
    Pointer().read(text, "/batchAnswerList", problems)
    assert [each.code for each in problems] == ["INVALID_POINTER"]
