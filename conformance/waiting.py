"""Waiting for something to become true, with a bound."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

LOOK_SECONDS = 0.1


async def until(true: Callable[[], bool | Awaitable[bool]], seconds: float) -> bool:
    """Look until it is true, but for no longer than some seconds; tell whether it was."""
    for _ in range(int(seconds / LOOK_SECONDS)):
        found = true()
        if await found if inspect.isawaitable(found) else found:
            return True
        await asyncio.sleep(LOOK_SECONDS)
    return False
