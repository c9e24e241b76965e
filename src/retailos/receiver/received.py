"""What came in: a request as the played system remembers it, and what a checker needs of one."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import msgspec

#: How the body of a batch begins: the plural's name and an array.
_BATCH: Final = re.compile(rb'\s*\{\s*"\w+"\s*:\s*\[')


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it came in."""

    #: Counted from 1 over the receiver's life.
    sequence: int
    #: Seconds of the monotonic clock at the request's last byte.
    at: float
    method: str
    #: The request's target, with its query, not decoded.
    path: str
    raw_headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever the case of its name."""
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.raw_headers if key.lower() == wanted), None)

    def json(self) -> Any:
        """The body, decoded; msgspec.DecodeError if it is no JSON."""
        return msgspec.json.decode(self.body)


class Sighting(NamedTuple):
    """What a checker needs of one request for a single record; some 200 bytes each."""

    #: The path up to the record, which tells one webhook's URL from another's.
    webhook: str
    #: The path's last segment, decoded: the record's external id.
    record: str
    #: X-Ra-Record-Version, 0 without one.
    version: int
    body_hash: bytes
    #: What it was answered, 0 for nothing.
    status: int
    #: Seconds of the monotonic clock.
    at: float


def sighting_of(received: Received, status: int) -> Sighting:
    """Reduce a request to what a checker of versions and order joins on."""
    webhook, _, record = received.path.partition("?")[0].rpartition("/")
    version = received.header("x-ra-record-version") or ""
    return Sighting(
        webhook=webhook,
        record=unquote(record),
        version=int(version) if version.isdecimal() else 0,
        body_hash=hashlib.blake2b(received.body, digest_size=8).digest(),
        status=status,
        at=received.at,
    )


def names_in(received: Received) -> list[dict[str, str]]:
    """The external id of each record of a batch, under its name; none of a request that is no batch."""
    if not _BATCH.match(received.body):
        return []
    try:
        [rows] = received.json().values()
        names = [next(name for name in row if name.startswith("external") and name.endswith("Id")) for row in rows]
    except (ValueError, TypeError, StopIteration):
        return []
    return [{name: row[name]} for name, row in zip(names, rows, strict=True)]
