"""How an API that is away is asked again: after pauses, no sooner than it says itself."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from retailos.errors import Unavailable

T = TypeVar("T")

#: Between two attempts while the API is away, one after the other; the last stays.
PAUSES_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
#: An API that asks for longer pauses is asked all the same.
LONGEST_SECONDS: Final = 300


def pause_seconds(error: Unavailable, failed: int) -> float:
    """How long to wait after an attempt that failed, `failed` others having failed before it."""
    asked = min(int(error.headers.get("Retry-After", 0)), LONGEST_SECONDS)
    return max(PAUSES_SECONDS[min(failed, len(PAUSES_SECONDS) - 1)], asked)


async def patiently(
    work: Callable[[], Awaitable[T]],
    say: Callable[[str], None],
    *,
    seconds: float,
    again: Callable[[Unavailable], bool] = lambda _error: True,
) -> T:
    """Do what may fail because the API is away, again and again for so many seconds; `say` is told once.

    Raises Unavailable where that was not long enough, or where `again` says of the error that another attempt is of no
    use.
    """
    failed, since = 0, time.monotonic()
    while True:
        try:
            return await work()
        except Unavailable as error:
            pause = pause_seconds(error, failed)
            if time.monotonic() + pause > since + seconds or not again(error):
                raise
            if not failed:
                say(f"{error.message} Trying again.")
        failed += 1
        await asyncio.sleep(pause)
