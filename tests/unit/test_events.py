"""What is streamed goes out piece by piece, and nobody who takes nothing is waited for."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from retailos.api import events
from retailos.api.call import Stream


async def counted() -> AsyncGenerator[bytes, None]:
    """A stream that never ends."""
    for i in range(1_000_000):
        yield b"%d\n" % i


async def staying() -> dict[str, Any]:
    """A caller that stays."""
    await asyncio.Event().wait()
    return {}


async def test_a_reader_that_takes_nothing_is_given_up() -> None:
    """A stream ends when its reader takes nothing for as long as is waited, and tells that it has ended."""
    taken: list[bytes] = []
    ended: list[bool] = []

    async def send(message: Any) -> None:
        taken.append(message.get("body", b""))
        if len(taken) == 3:
            await asyncio.Event().wait()

    stream = Stream(media_type="text/plain", chunks=counted(), ended=lambda: ended.append(True))
    scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
    await events.send_stream(scope, staying, send, stream, patience_seconds=0.05)
    assert taken == [b"", b"0\n", b"1\n"]
    assert ended == [True]


def test_an_event_is_what_the_specification_says() -> None:
    """An event has its id, its name and one line of data; a mark has an id and nothing that anybody is told of."""
    assert events.event("c1.2.aa", "change", b"{}") == b"id: c1.2.aa\nevent: change\ndata: {}\n\n"
    assert events.mark("c1.2.aa") == b": here\nid: c1.2.aa\n\n"
