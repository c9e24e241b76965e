"""The upload of a file: checked as it comes, and kept in the database in chunks of whole records until it is all here.

Nothing is applied before the last byte was seen to be good, so a file that is damaged anywhere changes nothing.
"""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from string import whitespace
from uuid import UUID

import msgspec

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.declare.resource import Resource, Resources
from retailos.errors import BadRequest, MalformedFile, PayloadTooLarge, RetailOSError, Unavailable
from retailos.imports.framing import Framing, Record
from retailos.imports.gunzip import Gunzip
from retailos.imports.imports import Import, shown
from retailos.imports.rows import layout_of

_SQL = load(__file__)
_BEGIN, _APPEND, _TOUCH, _QUEUE, _FAIL = _SQL.begin, _SQL.append, _SQL.touch, _SQL.queue, _SQL.fail
_DROP = _SQL.drop

#: The most of a chunk, which is one transaction when it is applied: a thousand rows take about a tenth of a second.
CHUNK_RECORDS = 1_000
CHUNK_BYTES = 1024 * 1024
#: Imports that may wait at once: their files are kept until they are applied, and each upload takes some memory.
WAITING_MOST = 100
#: An upload gives a sign of life so often, and has broken off when there was none for so long.
TOUCH_SECONDS = 10.0
LAPSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to come: records of which resource, in which format, packed or not, and who sends them."""

    id: UUID
    resource: Resource
    format: str
    gzip: bool
    max_error_rate: float
    request_id: UUID | None
    api_key_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most bytes of a record, and of a file when it is unpacked."""

    record_bytes: int
    file_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A file that is all here: the import that it is of, its bytes as they came, and its header row if it has one."""

    id: UUID
    bytes: int
    header: str | None


async def receive(
    pool: Pool, resources: Resources, asked: Asked, limits: Limits, body: AsyncIterator[bytes]
) -> Received:
    """Take a file in; it is applied once it is queued.

    Raises MalformedFile, PayloadTooLarge and ValidationFailed for a file that is no good; then, and also where `body`
    breaks off, the import stays as failed, with why. Unavailable where too many are waiting.
    """
    async with acquire(pool) as connection:
        begun = await connection.fetchval(
            _BEGIN,
            asked.id,
            asked.resource.name,
            asked.format,
            asked.max_error_rate,
            asked.request_id,
            asked.api_key_id,
            WAITING_MOST,
        )
    if begun is None:
        raise Unavailable(f"{WAITING_MOST} imports are waiting already; send the file later.", retry_after_seconds=60)
    upload = _Upload(pool, resources, asked, limits)
    try:
        return await upload.run(body)
    except RetailOSError as error:
        await upload.fail(error)
        error.details["importId"] = str(asked.id)
        raise
    except Exception:
        await upload.fail(BadRequest("The upload broke off; send the file again."))
        raise


async def queue(connection: Connection, received: Received) -> Import:
    """Let a file wait for its turn; give the import as it is then. BadRequest where it was cancelled, or given up."""
    row = await connection.fetchrow(_QUEUE, received.id, received.bytes, received.header)
    if row is None:
        raise _lapsed(received.id)
    return shown(row)


async def drop(pool: Pool, import_id: UUID) -> None:
    """Forget a file that was not queued, as if it had never come."""
    async with acquire(pool) as connection:
        await connection.execute(_DROP, import_id)


@dataclass(slots=True)
class _Chunk:
    """Records that go together."""

    first_line: int = 1
    texts: list[str] = field(default_factory=list)
    rows: int = 0
    size: int = 0

    def add(self, record: Record) -> None:
        if not self.texts:
            self.first_line = record.line
        self.texts.append(record.text)
        self.size += len(record.text)
        # A blank line is no row.
        self.rows += bool(record.text.strip(whitespace))

    @property
    def full(self) -> bool:
        return self.rows >= CHUNK_RECORDS or self.size >= CHUNK_BYTES


class _Upload:
    """A file that is coming: how far it is."""

    def __init__(self, pool: Pool, resources: Resources, asked: Asked, limits: Limits) -> None:
        self._pool, self._resources, self._asked, self._limits = pool, resources, asked, limits
        self._gunzip = Gunzip() if asked.gzip else None
        self._framing = Framing(csv=asked.format == "csv", record_bytes=limits.record_bytes)
        self._chunk = _Chunk()
        self._chunks = self._bytes = self._unpacked = 0
        self._touched = time.monotonic()
        self._has_header = False

    async def run(self, body: AsyncIterator[bytes]) -> Received:
        async for packed in body:
            self._bytes += len(packed)
            for piece in self._pieces(packed):
                await self._take(self._framing.feed(piece))
            await self._touch()
        if self._gunzip:
            self._gunzip.finish()
        await self._take(self._framing.finish())
        if not self._unpacked:
            raise MalformedFile("expected a file with records, got an empty one")
        await self._flush()
        return Received(id=self._asked.id, bytes=self._bytes, header=self._framing.header)

    async def fail(self, error: RetailOSError) -> None:
        """Keep why the file is no good."""
        why = msgspec.json.encode(error.fault).decode()
        async with acquire(self._pool) as connection:
            await connection.execute(_FAIL, self._asked.id, self._bytes, why)

    def _pieces(self, packed: bytes) -> Iterator[bytes]:
        for piece in self._gunzip.feed(packed) if self._gunzip else (packed,):
            self._unpacked += len(piece)
            if self._unpacked > self._limits.file_bytes:
                raise PayloadTooLarge(f"expected a file of at most {self._limits.file_bytes} bytes, unpacked; split it")
            yield piece

    async def _take(self, records: Iterator[Record]) -> None:
        for record in records:
            self._check_header()
            self._chunk.add(record)
            if self._chunk.full:
                await self._flush()
        self._check_header()

    def _check_header(self) -> None:
        """See whether the header row is one of the resource's, as soon as it is here."""
        if not self._has_header and self._framing.header is not None:
            self._has_header = True
            layout_of(self._resources, self._asked.resource, self._framing.header)

    async def _flush(self) -> None:
        chunk, self._chunk = self._chunk, _Chunk()
        if not chunk.texts:
            return
        self._chunks += 1
        data = "".join(chunk.texts).encode()
        values = (self._asked.id, self._chunks, chunk.first_line, chunk.rows, data)
        async with acquire(self._pool) as connection:
            if await connection.fetchval(_APPEND, *values) is None:
                raise _lapsed(self._asked.id)
        self._touched = time.monotonic()

    async def _touch(self) -> None:
        if time.monotonic() - self._touched > TOUCH_SECONDS:
            async with acquire(self._pool) as connection:
                if await connection.fetchval(_TOUCH, self._asked.id, self._bytes) is None:
                    raise _lapsed(self._asked.id)
            self._touched = time.monotonic()


def _lapsed(import_id: UUID) -> BadRequest:
    message = "The import ended before its file was here: it was cancelled, or came too slowly. Send it again."
    return BadRequest(message, details={"importId": str(import_id)})
