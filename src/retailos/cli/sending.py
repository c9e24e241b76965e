"""An import as its sender does it: a file sent to the API as it is read, waited for, and fetched back where refused."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any, BinaryIO, Final, TypeVar
from urllib.parse import urlencode
from uuid import uuid4

import msgspec
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import ConnectError, ConnectTimeoutError

from retailos.cli.patience import patiently
from retailos.cli.remote import ANSWER_SECONDS, CONNECT_SECONDS, PUBLIC, Remote
from retailos.errors import RetailOSError, Unavailable
from retailos.imports.imports import Import

T = TypeVar("T")

PIECE_BYTES: Final = 256 * 1024
#: How often it is asked how far an import is.
ASK_SECONDS: Final = 0.2
#: How long an API may be away before it is given up: longer than it takes to be started again, or moved.
PATIENCE_SECONDS: Final = 300.0
MEDIA_TYPES: Final = MappingProxyType({"csv": "text/csv", "ndjson": "application/x-ndjson"})
ENDED: Final = ("completed", "failed", "cancelled")
_NEW: Final = ".new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who sends: to which API, which is asked again for so many seconds while it is away; `say` is told of that."""

    api: Remote
    patience_seconds: float = PATIENCE_SECONDS
    say: Callable[[str], None] = lambda _said: None

    async def send(
        self, file: BinaryIO, form: str, *, gzip: bool, query: dict[str, str], sent: Callable[[int], None]
    ) -> Import:
        """Send a file as it is read, telling `sent` how many bytes have gone; give the import that waits then.

        It is one import, however often the file had to be sent. Raises RetailOSError with the API's own message where
        it is refused, Unavailable where no API answers.
        """
        headers = {"Content-Type": MEDIA_TYPES[form], "Idempotency-Key": str(uuid4())}
        headers |= {"Content-Encoding": "gzip"} if gzip else {}
        body = _Body(file, sent)

        async def attempt() -> Import:
            request = self.api.client.post(f"{self.api.url}{PUBLIC}/imports?{urlencode(query)}")
            with self.api.failures():
                answer = await request.headers(headers | self._key()).body_stream(body.pieces()).build().send()
                return _import(self.api.result(answer, bytes(await answer.bytes())))

        try:
            return await patiently(attempt, self.say, seconds=self.patience_seconds, again=body.may_go_again)
        except Unavailable as error:
            if body.is_spent:
                said = "What was sent can't be read again; push it once more: what has come is unchanged then."
                raise Unavailable(f"{error.message} {said}") from error
            raise

    async def wait(self, import_id: Any, told: Callable[[Import], None]) -> Import:
        """Wait until an import has ended, telling `told` how far it is; give it as it is then."""

        async def look() -> Import:
            return _import(await self.api.get(f"/imports/{import_id}", {}))

        while True:
            found = await patiently(look, self.say, seconds=self.patience_seconds)
            told(found)
            if found.status in ENDED:
                return found
            await asyncio.sleep(ASK_SECONDS)

    async def fetch_refused(self, import_id: Any, path: Path) -> None:
        """Write the rows that were refused into a file; one that is there is replaced once they are all here."""
        new = path.with_name(path.name + _NEW)
        try:
            await patiently(lambda: self._fetch(import_id, new), self.say, seconds=self.patience_seconds)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)

    async def _fetch(self, import_id: Any, path: Path) -> None:
        asked = self.api.client.get(f"{self.api.url}{PUBLIC}/imports/{import_id}/results?status=failed")
        with self.api.failures(), path.open("wb") as file:
            async with asked.headers(self._key()).build_streamed() as answer:
                if answer.status != 200:
                    self.api.result(answer, bytes(await answer.bytes()))
                    raise RetailOSError(f"expected the refused rows from {self.api.url}, got an answer {answer.status}")
                while (piece := await _within(answer.body_reader.read_chunk())) is not None:
                    file.write(piece.to_bytes())
            file.flush()
            os.fsync(file.fileno())

    def _key(self) -> dict[str, str]:
        return {"Authorization": f"API_KEY {self.api.key}"}


def sender(url: str, key: str) -> Sender:
    """Who sends to the API at `url`."""
    client = ClientBuilder().connect_timeout(timedelta(seconds=CONNECT_SECONDS)).follow_redirects(False).build()
    return Sender(api=Remote(client=client, url=url.rstrip("/"), key=key))


class _Body:
    """A file as it is sent, from its beginning each time, if it can be read again."""

    def __init__(self, file: BinaryIO, sent: Callable[[int], None]) -> None:
        self._file, self._sent = file, sent
        self._begin = file.tell() if file.seekable() else None
        self._begun = False
        # An attempt that failed may still be reading a piece when the next one begins.
        self._turn = Lock()

    @property
    def is_spent(self) -> bool:
        """Whether some of it has gone and can't be read again."""
        return self._begun and self._begin is None

    def may_go_again(self, error: Unavailable) -> bool:
        """Whether another attempt is of use: not where nobody was ever there, which a wrong URL may be the cause of."""
        if not self._begun:
            return not isinstance(error.__cause__, (ConnectError, ConnectTimeoutError))
        return not self.is_spent

    async def pieces(self) -> AsyncIterator[bytes]:
        """Read it piece by piece."""
        size = 0
        while piece := await asyncio.to_thread(self._piece, size):
            self._begun = True
            yield piece
            size += len(piece)
            self._sent(size)

    def _piece(self, at: int) -> bytes:
        with self._turn:
            if self._begin is not None:
                self._file.seek(self._begin + at)
            return self._file.read(PIECE_BYTES)


async def _within(answer: Awaitable[T]) -> T:
    """What comes within the time that an answer may take."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await answer
    except TimeoutError:
        raise Unavailable(f"Nothing more came for {ANSWER_SECONDS:.0f} seconds.") from None


def _import(result: msgspec.Raw) -> Import:
    return msgspec.json.decode(result, type=Import)
