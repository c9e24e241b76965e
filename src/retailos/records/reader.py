"""The reader: while records are being read, those that are asked for meanwhile collect, and then are read together.

One record alone costs the database five times what it costs among others, and this process three times. A batch forms
by itself, as the writer's does; who asks while few others do waits for nobody.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from asyncpg import Record

from retailos.database.pool import Pool, acquire
from retailos.errors import Unavailable

#: Bounds how long one statement takes, and so how long who comes next waits: some two milliseconds.
BATCH_MOST: Final = 32
#: Batches of one kind that are read at once, so that a large record holds up few others.
AT_ONCE: Final = 2

#: A key, and who waits for its row.
_Asked: TypeAlias = "tuple[Any, asyncio.Future[Record | None]]"


@dataclass(slots=True)
class _Line:
    """Those who ask for records of one resource, shown in one way."""

    waiting: deque[_Asked] = field(default_factory=deque)
    batches: int = 0


class Reader:
    """Reads records by a key each; concurrent reads by one statement share its execution."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._lines: dict[str, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, statement: str, key: Any) -> Record | None:
        """Give the row that a statement finds for a key, of which it takes many ($1) and gives back each as `asked`.

        It is read after this was called, so that it shows whatever its caller knows to be committed. None where there
        is none; Unavailable while the database is away.
        """
        line = self._lines.get(statement)
        if line is None:
            line = self._lines[statement] = _Line()
        answer: asyncio.Future[Record | None] = asyncio.get_running_loop().create_future()
        line.waiting.append((key, answer))
        if line.batches < AT_ONCE:
            line.batches += 1
            task = asyncio.create_task(self._read_on(statement, line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _read_on(self, statement: str, line: _Line) -> None:
        """Read batch after batch until nobody waits."""
        try:
            while line.waiting:
                batch = [line.waiting.popleft() for _ in range(min(len(line.waiting), BATCH_MOST))]
                try:
                    await self._read(statement, batch)
                except Unavailable as error:
                    # The next would wait as long for a connection, one batch after the other.
                    _fail((*batch, *line.waiting), error)
                    line.waiting.clear()
                except Exception as error:
                    _fail(batch, error)
        finally:
            line.batches -= 1
            if not line.batches:
                del self._lines[statement]

    async def _read(self, statement: str, batch: Sequence[_Asked]) -> None:
        async with acquire(self.pool) as connection:
            rows = await connection.fetch(statement, list({key for key, _ in batch}))
        found = {row["asked"]: row for row in rows}
        for key, answer in batch:
            if not answer.done():
                answer.set_result(found.get(key))


def _fail(asked: Iterable[_Asked], error: Exception) -> None:
    for _, answer in asked:
        if not answer.done():
            answer.set_exception(error)
