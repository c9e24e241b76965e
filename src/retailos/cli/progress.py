"""Operations as a command waits for them: it takes a hand in them itself, and shows how far they are."""

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from retailos import operations
from retailos.database.pool import Pool
from retailos.operations import Operation
from retailos.resources import RESOURCES
from retailos.schedule.clock import run_schedules
from retailos.stints import stint

_LOOK_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 5.0


async def followed(pool: Pool, begun: Sequence[Operation], *, shown: bool) -> tuple[Operation, ...]:
    """Wait for operations to end, and give them as they are then; whoever breaks off leaves them to the workers.

    Where nothing moves for some seconds, since a receiver or the workers are away, it is not waited any longer.
    """
    if all(each.status != "active" for each in begun):
        return tuple(begun)
    stop = asyncio.Event()
    # A database that no worker serves just now has nobody else to go on with it.
    helping = asyncio.create_task(run_schedules(pool, (stint.operations(RESOURCES),), stop, look_seconds=_LOOK_SECONDS))
    try:
        return await _ended(pool, begun, shown=shown)
    finally:
        stop.set()
        await helping


async def _ended(pool: Pool, begun: Sequence[Operation], *, shown: bool) -> tuple[Operation, ...]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not (shown and sys.stderr.isatty())) as progress:
        total = sum(each.total for each in begun)
        task = progress.add_task(begun[0].kind.title(), total=total)
        moved, since = -1, time.monotonic()
        while True:
            now = [await operations.show_operation(pool, each.id) for each in begun]
            count = sum(each.done + each.skipped for each in now)
            progress.update(task, completed=count)
            if count != moved:
                moved, since = count, time.monotonic()
            if all(each.status != "active" for each in now) or time.monotonic() - since > _PATIENCE_SECONDS:
                return tuple(now)
            await asyncio.sleep(_LOOK_SECONDS)
