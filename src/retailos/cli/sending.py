"""An import as its sender does it: a file sent to the API as it is read, waited for, and fetched back where refused."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, BinaryIO
from urllib.parse import urlencode

import msgspec
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.response import Response

from retailos.errors import RetailOSError, Unavailable
from retailos.imports.imports import Import

CONNECT_SECONDS = 10.0
PIECE_BYTES = 256 * 1024
#: How often it is asked how far an import is.
ASK_SECONDS = 0.2
MEDIA_TYPES = MappingProxyType({"csv": "text/csv", "ndjson": "application/x-ndjson"})
ENDED = ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who sends: to which API, and with which key."""

    client: Client
    url: str
    key: str

    async def send(
        self, file: BinaryIO, form: str, *, gzip: bool, query: dict[str, str], sent: Callable[[int], None]
    ) -> Import:
        """Send a file as it is read, telling `sent` how many bytes have gone; give the import that waits then.

        Raises RetailOSError with the API's own message where it is refused, Unavailable where no API answers.
        """
        headers = {"Content-Type": MEDIA_TYPES[form]} | ({"Content-Encoding": "gzip"} if gzip else {})
        request = self.client.post(f"{self.url}/v2/public/imports?{urlencode(query)}")
        with _failures(self.url):
            answer = await request.headers(self._authorised(headers)).body_stream(_pieces(file, sent)).build().send()
            return _import(await _result(answer))

    async def wait(self, import_id: Any, told: Callable[[Import], None]) -> Import:
        """Wait until an import has ended, telling `told` how far it is; give it as it is then."""
        while True:
            with _failures(self.url):
                asked = self.client.get(f"{self.url}/v2/public/imports/{import_id}").headers(self._authorised())
                found = _import(await _result(await asked.build().send()))
            told(found)
            if found.status in ENDED:
                return found
            await asyncio.sleep(ASK_SECONDS)

    async def fetch_refused(self, import_id: Any, file: BinaryIO) -> None:
        """Write the rows that were refused into a file."""
        path = f"{self.url}/v2/public/imports/{import_id}/results?status=failed"
        with _failures(self.url):
            async with self.client.get(path).headers(self._authorised()).build_streamed() as answer:
                while (piece := await answer.body_reader.read_chunk()) is not None:
                    file.write(piece.to_bytes())

    def _authorised(self, headers: dict[str, str] | None = None) -> dict[str, str]:
        return {"Authorization": f"API_KEY {self.key}"} | (headers or {})


def sender(url: str, key: str) -> Sender:
    """Who sends to the API at `url`."""
    client = ClientBuilder().connect_timeout(timedelta(seconds=CONNECT_SECONDS)).follow_redirects(False).build()
    return Sender(client=client, url=url.rstrip("/"), key=key)


async def _pieces(file: BinaryIO, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
    size = 0
    while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
        yield piece
        size += len(piece)
        sent(size)


async def _result(answer: Response) -> Any:
    """The envelope's result; RetailOSError with the envelope's message, and all that is wrong, for a refusal."""
    body = (await answer.bytes()).to_bytes()
    try:
        envelope = msgspec.json.decode(body)
        error, result = envelope["error"], envelope["result"]
    except (msgspec.DecodeError, KeyError, TypeError):
        raise Unavailable(f"Expected the API of RetailOS, got an answer {answer.status} of something else.") from None
    if error:
        problems = [f"\n  - {each['path']}: {each['message']}" for each in error["details"].get("errors", ())]
        raise RetailOSError(error["message"] + "".join(problems))
    return result


def _import(result: Any) -> Import:
    return msgspec.convert(result, Import)


@contextmanager
def _failures(url: str) -> Iterator[None]:
    try:
        yield
    except PyreqwestError as error:
        raise Unavailable(f"The API did not answer at {url}: {error}. Start it, or name another --url.") from error
