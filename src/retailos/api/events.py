"""Server-sent events: how they are written, and how a stream goes out to whoever may read slowly, or not at all."""

import asyncio
from contextlib import aclosing, suppress

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from retailos.api.call import Stream

#: A reader that takes nothing for so long is given up; it can come back and go on where it was.
SEND_SECONDS = 30.0


async def send_stream(
    scope: Scope, receive: Receive, send: Send, stream: Stream, *, patience_seconds: float = SEND_SECONDS
) -> None:
    """Send a stream to its end; it ends early where the reader goes away, or takes nothing any more."""

    async def send_soon(message: Message) -> None:
        async with asyncio.timeout(patience_seconds):
            await send(message)

    # Proxies keep back what they take for a page.
    headers = {"X-Accel-Buffering": "no"}
    if stream.name:
        headers["Content-Disposition"] = f'attachment; filename="{stream.name}"'
    try:
        async with aclosing(stream.chunks):
            response = StreamingResponse(stream.chunks, headers=headers, media_type=stream.media_type)
            with suppress(TimeoutError):
                await response(scope, receive, send_soon)
    finally:
        stream.ended()


def event(cursor: str, kind: str, data: bytes) -> bytes:
    """Write an event; its data is one line."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (cursor.encode(), kind.encode(), data)


def mark(cursor: str) -> bytes:
    """Write how far the stream is, which readers remember and nobody is told of; it also keeps proxies awake."""
    return b": here\nid: %b\n\n" % cursor.encode()
