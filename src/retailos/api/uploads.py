"""The file of an import taken in and queued: each time that it comes, or once under its Idempotency-Key."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import NoReturn
from uuid import UUID

from retailos import answers
from retailos.answers import Asked
from retailos.api.access import CHECK_SECONDS
from retailos.api.body import stream
from retailos.api.call import Answer, Call, Engine
from retailos.api.envelope import encode
from retailos.api.once import asked_of, begun, idempotency_key, once
from retailos.database.pool import Connection, acquire
from retailos.errors import IdempotencyInProgress, PayloadTooLarge
from retailos.imports import upload
from retailos.imports.upload import Limits, Received

IMPORTS = "/v2/public/imports"
#: Raises what a call would be answered with, were it made only now.
Check = Callable[[], Awaitable[None]]


async def take_in(engine: Engine, call: Call, asked: upload.Asked, limits: Limits, check: Check) -> Answer:
    """Take in the file that a call brings, and answer with the import that it is.

    `check` raises Unauthorized or Forbidden once the key may not write any more: it is asked as long as the file comes,
    and before it is queued.
    The digest of a file is known once it is all here. So two uploads under one key don't wait for each other: the
    first to end is the import, and the other one's file is dropped and answered with that.
    """
    # The rest of a file that is refused is taken in and dropped by the server: whoever sends all of it before reading
    # gets the answer, where a connection that were closed would take it away.
    key = idempotency_key(call)
    if key is None:
        received = await upload.receive(engine.pool, engine.resources, asked, limits, _checked(call, check))
        async with acquire(engine.pool) as connection:
            return await _queued(connection, received)
    request, digest = asked_of(call, key), begun(call)
    digest.update(f"{asked.format} {asked.gzip}\n".encode())

    async def body() -> AsyncIterator[bytes]:
        async for piece in _checked(call, check):
            digest.update(piece)
            yield piece

    if await answers.is_known(engine.pool, request):
        await _pass_over(body(), limits)
        return await once(engine, replace(request, digest=digest.digest()), _forgotten)
    received = await upload.receive(engine.pool, engine.resources, asked, limits, body())
    return await _once(engine, replace(request, digest=digest.digest()), received)


async def _checked(call: Call, check: Check) -> AsyncIterator[bytes]:
    """The body of a call whose key is looked at while it comes, and when it is here."""
    checked = time.monotonic()
    async for piece in stream(call):
        if time.monotonic() - checked > CHECK_SECONDS:
            await check()
            checked = time.monotonic()
        yield piece
    await check()


async def _once(engine: Engine, request: Asked, received: Received) -> Answer:
    """Queue a file, or drop it where another one was queued under its key meanwhile."""

    async def work(connection: Connection) -> tuple[Answer, UUID]:
        return await _queued(connection, received), received.id

    try:
        return await once(engine, request, work)
    finally:
        await upload.drop(engine.pool, received.id)


async def _queued(connection: Connection, received: Received) -> Answer:
    made = await upload.queue(connection, received)
    return Answer(encode(made), status=202, headers={"Location": f"{IMPORTS}/{made.id}"})


async def _pass_over(body: AsyncIterator[bytes], limits: Limits) -> None:
    """Read a file that came before, for its digest alone."""
    size = 0
    async for piece in body:
        size += len(piece)
        if size > limits.file_bytes:
            raise PayloadTooLarge(f"expected a file of at most {limits.file_bytes} bytes; split it")


async def _forgotten(_connection: Connection) -> NoReturn:
    """What was answered is kept for 24 hours, which were over when the file was here."""
    raise IdempotencyInProgress("The answer to this Idempotency-Key has just been forgotten; send the request again.")
