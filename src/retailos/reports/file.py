"""The file of an issue: a row for each failure, as CSV for spreadsheets or NDJSON for programs.

It says which deliveries failed and why by ids of ours alone: external ids are personal data, and whoever has the link
has the file. With a key, each id leads to its delivery, job or record.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final
from uuid import UUID

import msgspec

#: What a spreadsheet takes for the beginning of a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class Row(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One failure."""

    queue_name: str
    #: The delivery, or else the job of an upsert that was given up.
    delivery_id: str | None
    job_id: UUID | None
    resource: str
    record_id: UUID | None
    #: The version that is owed.
    version: int | None
    error_class: str
    attempts: int | None
    failed_at: str | None


_COLUMNS: Final = tuple(each.encode_name for each in msgspec.structs.fields(Row))


def csv(rows: Iterable[Row]) -> bytes:
    """Write rows as CSV; every cell is quoted, and none is a formula."""
    return b"".join(_line(msgspec.to_builtins(row).values()) for row in rows)


def ndjson(rows: Iterable[Row]) -> bytes:
    """Write rows as lines of JSON."""
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def _line(cells: Iterable[object]) -> bytes:
    return (",".join(_cell("" if each is None else str(each)) for each in cells) + "\r\n").encode()


def _cell(text: str) -> str:
    safe = f"'{text}" if text.startswith(_FORMULA) else text
    return '"' + safe.replace('"', '""') + '"'


class Form(msgspec.Struct, frozen=True):
    """One way to write the file."""

    media_type: str
    head: bytes
    rows: Callable[[Iterable[Row]], bytes]


#: The forms of a file, by the ending of its name.
FORMS: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "csv": Form("text/csv; charset=utf-8; header=present", _line(_COLUMNS), csv),
        "ndjson": Form("application/x-ndjson", b"", ndjson),
    }
)
