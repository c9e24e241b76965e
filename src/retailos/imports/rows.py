"""Rows of a file read as records, as a bulk upsert reads them, and refused ones shown again in the file's format."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import whitespace
from typing import Any

import msgspec

from retailos.declare.resource import Resource, Resources
from retailos.errors import Internal, RetailOSError
from retailos.imports.columns import NOTES, Header, read_header, record_of
from retailos.imports.framing import read_rows
from retailos.observe import describe, emit
from retailos.observe.process import DefectFound
from retailos.records import body
from retailos.records.record import Draft

FORMATS = ("ndjson", "csv")
POSITION_MOST = 2**31 - 1
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row as it came and as it was read: a draft, or why it is none."""

    line: int
    data: bytes
    read: Draft | RetailOSError
    #: What it calls its record, also where it was refused, if that can be kept.
    external_id: str | None

    @property
    def position(self) -> int:
        """The line, as a job can hold it."""
        return min(self.line, POSITION_MOST)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is laid out: lines of JSON, or, where it has a header row, CSV."""

    resource: Resource
    header: Header | None


def layout_of(resources: Resources, resource: Resource, header: str | None) -> Layout:
    """The layout of a file with this header row, None for NDJSON; ValidationFailed tells what is wrong with it."""
    return Layout(resource, None if header is None else read_header(resources, resource, header))


def read_chunk(resources: Resources, layout: Layout, first_line: int, data: bytes) -> Iterator[Row]:
    """Read whole records, the first of which begins on `first_line`; blank lines are passed over."""
    for line, raw, cells in _records(layout, first_line, data):
        record: Any = None
        read: Draft | RetailOSError
        try:
            record = _decoded(layout, raw, cells)
            record, at = body.unwrapped(layout.resource, record)
            read = body.named(resources, layout.resource, record, at)
        except RetailOSError as error:
            read = error
        except Exception as defect:
            # One row that we can't read must not keep all others waiting for ever.
            emit(DefectFound(request_id="", error=describe(defect)))
            read = Internal()
        yield Row(line=line, data=raw, read=read, external_id=body.name_of(resources, layout.resource, record))


def _records(layout: Layout, first_line: int, data: bytes) -> Iterator[tuple[int, bytes, list[str] | None]]:
    """Each record's line, its bytes, and of CSV its cells."""
    if layout.header is None:
        for line, raw in enumerate(data.split(b"\n"), first_line):
            if raw.strip():
                yield line, raw, None
        return
    lines = io.StringIO(data.decode(), newline="\n").readlines()
    done = 0
    for row in read_rows(lines, layout.header.separator, first_line):
        text = "".join(lines[done : done + row.lines])
        if text.strip(whitespace):
            yield first_line + done, text.encode(), row.cells
        done += row.lines


def _decoded(layout: Layout, raw: bytes, cells: list[str] | None) -> Any:
    if layout.header is not None:
        return record_of(layout.header, cells or [])
    value = body.decode(raw)
    return _without_notes(value) if type(value) is dict else value


def _without_notes(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in NOTES}


def header_again(layout: Layout) -> bytes:
    """The header row of refused rows, with the columns that tell what is wrong; NDJSON has none."""
    if layout.header is None:
        return b""
    titles = [each for each in layout.header.titles if each not in NOTES]
    return _csv_row(layout.header, [*titles, "_error", "_line"])


def row_again(layout: Layout, line: int, data: bytes, fault: Mapping[str, Any]) -> bytes:
    """A refused row as it came, with what is wrong with it and its line, in the file's own format."""
    if layout.header is None:
        return _json_again(line, data, fault)
    header = layout.header
    lines = io.StringIO(data.decode(), newline="\n").readlines()
    cells = next(read_rows(lines, header.separator, line)).cells
    # A row that is too short gets the cells that it lacks, so that what follows stands under its title.
    cells += [""] * (len(header.titles) - len(cells))
    noted = [i for i, each in enumerate(header.titles) if each in NOTES]
    kept = [each for i, each in enumerate(cells) if i not in noted]
    return _csv_row(header, [*kept, told(fault), str(line)])


def told(fault: Mapping[str, Any]) -> str:
    """An error in one line: its code, and each problem with its pointer."""
    problems = [f"{each['path']} {each['message']}".strip() for each in fault["details"].get("errors", ())]
    return f"{fault['code']}: {'; '.join(problems) or fault['message']}"


def _json_again(line: int, data: bytes, fault: Mapping[str, Any]) -> bytes:
    notes: dict[str, Any] = {"_error": fault, "_line": line}
    try:
        record = body.decode(data)
    except RetailOSError:
        record = None
    if type(record) is dict:
        return bytes(_encode(_without_notes(record) | notes)) + b"\n"
    # What is no object can't have members; whoever corrects it finds it as text.
    return bytes(_encode({"_raw": data.decode()} | notes)) + b"\n"


def _csv_row(header: Header, cells: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=header.separator, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
