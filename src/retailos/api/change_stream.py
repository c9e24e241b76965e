"""The change feed as a stream of server-sent events, each with the cursor behind it as its id."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass

from retailos.api.access import CHECK_SECONDS
from retailos.api.change_view import view
from retailos.api.envelope import encode
from retailos.api.events import event, mark
from retailos.errors import RetailOSError, Unavailable
from retailos.records import feed
from retailos.records.feed import Position, Read
from retailos.records.watch import Watch

#: Proxies close what is silent for a minute, some sooner.
HEARTBEAT_SECONDS = 15.0
#: While the database is away, streams stay and ask again.
AGAIN_SECONDS = 1.0
#: Larger than what most readers take at once; a page of rows is not sent row by row.
_CHUNK_BYTES = 64 * 1024
#: A browser that lost its stream comes back after so many milliseconds.
_RETRY = b"retry: 2000\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a stream's changes come from; no connection to the database is held between two calls."""

    watch: Watch
    #: Reads what is behind a position.
    read: Callable[[Position], Awaitable[Read]]
    #: Raises Unauthorized or Forbidden once the key may not read any more.
    check: Callable[[], Awaitable[None]]
    heartbeat_seconds: float = HEARTBEAT_SECONDS


async def change_events(source: Source, first: Read) -> AsyncGenerator[bytes, None]:
    """Write what was read first and then what happens, until the key is taken away or the process is about to end.

    It ends too where the reader is so slow that what it has not read is not kept any more; asking again tells so.
    """
    read: Read | None = first
    yield _RETRY
    while read is not None:
        for chunk in _chunks(read):
            yield chunk
        read = await _next(source, read)


async def nothing() -> AsyncGenerator[bytes, None]:
    """A stream without events, for whoever asks for its head alone."""
    return
    yield b""


def _chunks(read: Read) -> Iterator[bytes]:
    """A page's events, and behind them how far it reached."""
    size, chunk = 0, []
    for change in read.changes:
        chunk.append(event(feed.written(read.after(change)), "change", encode(view(change))))
        size += len(chunk[-1])
        if size > _CHUNK_BYTES:
            yield b"".join(chunk)
            size, chunk = 0, []
    yield b"".join((*chunk, mark(feed.written(read.position))))


async def _next(source: Source, last: Read) -> Read | None:
    """What comes after a page: more changes, none where it is time for a heartbeat, or None at the end."""
    position, beat = last.position, time.monotonic() + source.heartbeat_seconds
    while not source.watch.closed:
        left = beat - time.monotonic()
        moved = last.more or await source.watch.beyond(position, min(CHECK_SECONDS, max(left, 0.0)))
        try:
            await source.check()
            read = await source.read(position) if moved else Read((), position, False)
        except Unavailable:
            await asyncio.sleep(AGAIN_SECONDS)
            continue
        except RetailOSError:
            return None
        position = read.position
        if read.changes or left <= 0:
            return read
    return None
