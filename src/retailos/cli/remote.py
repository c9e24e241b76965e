"""A RetailOS somewhere else, asked over HTTP as any other program asks it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import click
import msgspec
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.response import BaseResponse

from retailos.errors import CursorExpired, IdempotencyInProgress, InvalidCursor, RetailOSError, Unavailable

PUBLIC: Final = "/v2/public"
ANSWER_SECONDS: Final = 60.0
CONNECT_SECONDS: Final = 10.0
#: Statuses that say "not now"; another attempt may be answered.
_NOT_NOW: Final = frozenset({429, 500, 502, 503, 504})
_KNOWN: Final = MappingProxyType({each.code: each for each in (CursorExpired, InvalidCursor)})

URL: Final = "http://127.0.0.1:8080"
url = click.option("--url", default=URL, show_default=True, help="Where RetailOS serves its API.")
key = click.option("--key", help="The API key; others on this machine can see it, unlike the one of --key-file.")
key_file = click.option(
    "--key-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The file that holds the API key."
)


class _Problem(msgspec.Struct, frozen=True):
    path: str
    message: str


class _Details(msgspec.Struct, frozen=True):
    errors: tuple[_Problem, ...] = ()
    #: Why a key is refused.
    reason: str = ""


class _Fault(msgspec.Struct, frozen=True):
    code: str
    message: str
    details: _Details = _Details()

    @property
    def said(self) -> str:
        """The message, why, and all that is wrong."""
        why = f": {self.details.reason}." if self.details.reason else ""
        return self.message + why + "".join(f"\n  - {each.path}: {each.message}" for each in self.details.errors)


class _Envelope(msgspec.Struct, frozen=True):
    error: _Fault | None
    result: msgspec.Raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """An API at a URL, and the key to call it with."""

    url: str
    key: str
    client: Client

    @classmethod
    def named(cls, url: str, key: str | None, key_file: Path | None) -> Self:
        """Make one of a command's options; click.UsageError where they name none."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise click.UsageError(f"--url: expected a URL such as https://retailos.example.com, got {url!r}.")
        if (key is None) == (key_file is None):
            raise click.UsageError("Give the API key, with --key-file or with --key; retailos keys create makes one.")
        text = key_file.read_text(encoding="utf-8", errors="replace") if key_file else key or ""
        if not text.strip().isascii() or not text.strip().isprintable():
            raise click.UsageError("Expected an API key such as rk_dev_…, as retailos keys create shows it.")
        # Where the public API is, as the demo shows it, says as much as where all of it is.
        at = url.rstrip("/").removesuffix(PUBLIC)
        return cls(url=at, key=text.strip(), client=_client())

    async def get(self, path: str, asked: Mapping[str, Any], *, wait_seconds: float = 0) -> msgspec.Raw:
        """GET a path below /v2/public and give the envelope's result as JSON.

        Raises Unavailable where there is no answer, or none just now; CursorExpired, InvalidCursor, or RetailOSError
        with the envelope's message, where it is refused.
        """
        outgoing = (
            self.client.get(f"{self.url}{PUBLIC}{path}")
            .query({name: str(value) for name, value in asked.items()})
            .header("Authorization", f"API_KEY {self.key}")
            .timeout(timedelta(seconds=ANSWER_SECONDS + wait_seconds))
            .build()
        )
        with self.failures():
            answer = await outgoing.send()
            return self.result(answer, bytes(await answer.bytes()))

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Raise Unavailable where there is no answer, or only a part of it."""
        try:
            yield
        except PyreqwestError as error:
            raise Unavailable(f"{self.url} does not answer ({type(error).__name__}); see whether it runs.") from error

    def result(self, answer: BaseResponse, body: bytes) -> msgspec.Raw:
        """The result in an answer's envelope; raises as `get` does."""
        status = answer.status
        # A proxy may tell a date here.
        asked = answer.headers.get("Retry-After") or ""
        later = int(asked) if asked.isdecimal() and len(asked) < 9 else 1
        try:
            envelope = msgspec.json.decode(body, type=_Envelope)
        except msgspec.DecodeError:
            said = f"expected a RetailOS API at {self.url}, got an answer {status} that is none of its"
            not_now = status in _NOT_NOW
            raise (Unavailable(said, retry_after_seconds=later) if not_now else RetailOSError(said)) from None
        if envelope.error is None:
            return envelope.result
        if status in _NOT_NOW or envelope.error.code == IdempotencyInProgress.code:
            raise Unavailable(envelope.error.said, retry_after_seconds=later)
        raise _KNOWN.get(envelope.error.code, RetailOSError)(envelope.error.said)


def _client() -> Client:
    return (
        ClientBuilder()
        .http1_only()
        .no_proxy()
        .follow_redirects(False)
        .user_agent("RetailOS")
        .connect_timeout(timedelta(seconds=CONNECT_SECONDS))
        .build()
    )
