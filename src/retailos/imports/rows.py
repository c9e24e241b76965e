"""Rows of a file read as records, as a bulk upsert reads them, and refused ones shown again in the file's format."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import whitespace
from typing import Any, NamedTuple

import msgspec

from retailos.declare.resource import Resource, Resources
from retailos.errors import Internal, RetailOSError
from retailos.imports.columns import NOTES, Header, called_in_cells, read_header, record_of
from retailos.imports.framing import read_rows
from retailos.observe import describe, emit
from retailos.observe.process import DefectFound
from retailos.records import body
from retailos.records.form import Form, Same, called_in_json, salt_of
from retailos.records.record import Draft

FORMATS = ("ndjson", "csv")
POSITION_MOST = 2**31 - 1
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Sent(NamedTuple):
    """A row as it came: the line that it begins on, its bytes, and of CSV its cells."""

    line: int
    data: bytes
    cells: list[str] | None

    @property
    def position(self) -> int:
        """The line, as a job can hold it."""
        return min(self.line, POSITION_MOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row as it came and as it was read: a draft, a record that is like that already, or why it is neither."""

    sent: Sent
    read: Draft | Same | RetailOSError
    #: What it calls its record, also where it was refused, if that can be kept.
    external_id: str | None


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is laid out: lines of JSON, or, where it has a header row, CSV."""

    resource: Resource
    header: Header | None


def layout_of(resources: Resources, resource: Resource, header: str | None) -> Layout:
    """The layout of a file with this header row, None for NDJSON; ValidationFailed tells what is wrong with it."""
    return Layout(resource, None if header is None else read_header(resources, resource, header))


def form_of(resources: Resources, layout: Layout) -> Form[Sent]:
    """How the rows of a file say which records they are, to see whether they are known to be as they are sent."""
    resource, header = layout.resource, layout.header
    if header is None:
        called = called_in_json(resources, resource)
        # Its notes are passed over here, and nowhere else: the same bytes mean something else in a request.
        return Form(called=lambda sent: called(sent.data), raw=_unbroken, salt=salt_of(resource, "ndjson"))
    in_cells = called_in_cells(resources, resource, header)
    salt = salt_of(resource, "csv", header.separator, *header.titles)
    return Form(called=lambda sent: in_cells(sent.cells or ()), raw=_unbroken, salt=salt)


def _unbroken(sent: Sent) -> bytes:
    """A row's bytes without its end, which the last one of a file need not have."""
    return sent.data.rstrip(b"\r\n")


def read_row(resources: Resources, layout: Layout, sent: Sent) -> Row:
    """Read a row; what is wrong with it is what was read, then."""
    record: Any = None
    read: Draft | RetailOSError
    try:
        record = _decoded(layout, sent)
        record, at = body.unwrapped(layout.resource, record)
        read = body.named(resources, layout.resource, record, at)
    except RetailOSError as error:
        read = error
    except Exception as defect:
        # One row that we can't read must not keep all others waiting for ever.
        emit(DefectFound(request_id="", error=describe(defect)))
        read = Internal()
    return Row(sent=sent, read=read, external_id=body.name_of(resources, layout.resource, record))


def cut(layout: Layout, first_line: int, data: bytes) -> Iterator[Sent]:
    """Cut a chunk into its rows, the first of which begins on `first_line`; blank lines are passed over."""
    if layout.header is None:
        for line, raw in enumerate(data.split(b"\n"), first_line):
            if raw.strip():
                yield Sent(line, raw, None)
        return
    lines = io.StringIO(data.decode(), newline="\n").readlines()
    done = 0
    for row in read_rows(lines, layout.header.separator, first_line):
        text = "".join(lines[done : done + row.lines])
        if text.strip(whitespace):
            yield Sent(first_line + done, text.encode(), row.cells)
        done += row.lines


def _decoded(layout: Layout, sent: Sent) -> Any:
    if layout.header is not None:
        return record_of(layout.header, sent.cells or [])
    value = body.decode(sent.data)
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
