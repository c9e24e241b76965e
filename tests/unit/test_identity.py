"""Ids made here sort by the time they were made, and never meet."""

import time
from uuid import RFC_4122

from retailos.records.identity import new_id


def test_ids_are_version_7() -> None:
    """An id is a UUID of version 7 and of the variant of RFC 9562."""
    made = [new_id() for _ in range(100)]
    assert {each.version for each in made} == {7}
    assert {each.variant for each in made} == {RFC_4122}


def test_an_id_tells_the_millisecond_of_its_making() -> None:
    """The first 48 bits of an id are the milliseconds since 1970, so that ids sort by time."""
    before = time.time_ns() // 1_000_000
    stamp = new_id().int >> 80
    assert before <= stamp <= time.time_ns() // 1_000_000


def test_ids_do_not_meet() -> None:
    """Ids of one millisecond differ in 74 random bits, of which every one occurs."""
    made = [new_id().int for _ in range(20_000)]
    assert len(set(made)) == len(made)
    random_bits = ((1 << 12) - 1) << 64 | ((1 << 62) - 1)
    set_once, clear_once = 0, 0
    for each in made:
        set_once |= each
        clear_once |= ~each
    assert set_once & clear_once & random_bits == random_bits
