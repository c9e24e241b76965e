"""How soon the embedded PostgreSQL serves."""

import time
from itertools import count
from pathlib import Path

from tests.acceptance.program import stretched
from tests.acceptance.test_embedded import notes, started, write
from tests.conftest import soonest


async def test_first_start_within_two_seconds_and_later_ones_in_half_of_one(data_dir: Path) -> None:
    """A new directory serves in two seconds, one that exists in half a second, with what was written in it."""
    numbers = count()

    async def start_twice() -> float:
        directory = data_dir.with_name(f"data-{next(numbers)}")
        began = time.monotonic()
        async with started(directory) as cluster:
            first = (time.monotonic() - began) / await stretched()
            await write(cluster, "kept")
        began = time.monotonic()
        async with started(directory) as cluster:
            second = (time.monotonic() - began) / await stretched()
            assert await notes(cluster) == ["kept"]
        return max(first / 2, second / 0.5)

    assert await soonest(start_twice, enough=1.0) <= 1.0
