"""The frame of a file: text in UTF-8, cut into whole records, each with its line; what breaks it is found on the way.

A record is a line of NDJSON, or a row of CSV, whose quoted cells may hold line breaks.
"""

import codecs
import csv
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from retailos.errors import MalformedFile, PayloadTooLarge

#: The separators that a header row is tried with; where two fit alike, the first.
SEPARATORS = (",", ";", "\t")
_SAVE_AS = "save the file as UTF-8"
#: What other files begin with, and what to do about it.
_OTHERS: Mapping[bytes, str] = MappingProxyType(
    {
        b"\x1f\x8b": "it looks packed; send it with Content-Encoding: gzip",
        b"\xff\xfe": f"it looks like UTF-16; {_SAVE_AS}",
        b"\xfe\xff": f"it looks like UTF-16; {_SAVE_AS}",
        b"PK": "it looks like a workbook or a zip file; save it as CSV",
    }
)
_CUT_OFF = "unexpected end of data"


class Record(NamedTuple):
    """A record as it came, its line breaks included, and the line that it begins on, from 1."""

    line: int
    text: str


class Row(NamedTuple):
    """A row of CSV: how many lines it takes, and its cells; a blank line has none."""

    lines: int
    cells: list[str]


class Framing:
    """Cuts a file into records as it comes; of a CSV file it keeps the first line, the header, apart."""

    def __init__(self, *, csv: bool, record_bytes: int) -> None:
        """`record_bytes` is the most that one record may have."""
        self._csv, self._most = csv, record_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._bytes = self._breaks = 0
        self._line = 1
        #: Lines of a row that has not come to its end, and a line that has not.
        self._pending: list[str] = []
        self._tail = ""
        self.header: str | None = None

    def feed(self, piece: bytes) -> Iterator[Record]:
        """Give the records that are whole by now; MalformedFile or PayloadTooLarge says where the file is no good."""
        text = self._decoded(piece, last=False)
        self._bytes += len(piece)
        self._breaks += piece.count(b"\n")
        *lines, self._tail = (self._tail + text).split("\n")
        yield from self._cut([f"{each}\n" for each in lines])
        if sum(map(len, self._pending)) + len(self._tail) > self._most:
            raise self._too_long(self._line)

    def finish(self) -> Iterator[Record]:
        """Give the last record, which need not end with a line break; MalformedFile where it is half of one."""
        last, self._tail = self._tail + self._decoded(b"", last=True), ""
        yield from self._cut([last] if last else [])
        if self._pending:
            message = f"expected the quoted cell of the row on line {self._line} to end"
            raise MalformedFile(message, details={"line": self._line})

    def _decoded(self, piece: bytes, *, last: bool) -> str:
        try:
            return self._decoder.decode(piece, last)
        except UnicodeDecodeError as error:
            # What the decoder had kept of a character stands before the piece.
            kept = len(error.object) - len(piece)
            byte = self._bytes - kept + error.start + 1
            line = self._breaks + error.object[: error.start].count(b"\n") + 1
            hint = _OTHERS.get(error.object[:2], _SAVE_AS) if self._bytes == 0 else _SAVE_AS
            message = f"expected UTF-8, got other bytes on line {line}, at byte {byte}; {hint}"
            raise MalformedFile(message, details={"line": line, "byte": byte}) from None

    def _cut(self, lines: list[str]) -> Iterator[Record]:
        if lines and self._csv and self.header is None:
            self.header = lines.pop(0)
            self._check(self.header)
            self._line += 1
        rows = self._rows([*self._pending, *lines]) if self._csv else ([each] for each in lines)
        for row in rows:
            text = "".join(row)
            self._check(text)
            yield Record(self._line, text)
            self._line += len(row)

    def _rows(self, lines: list[str]) -> Iterator[Sequence[str]]:
        done = 0
        for row in read_rows(lines, separator(self.header or ""), self._line):
            yield lines[done : done + row.lines]
            done += row.lines
        self._pending = lines[done:]

    def _check(self, text: str) -> None:
        # No character has more than four bytes, so most records need not be encoded to be measured.
        if len(text) * 4 > self._most and len(text.encode()) > self._most:
            raise self._too_long(self._line)

    def _too_long(self, line: int) -> PayloadTooLarge:
        message = f"expected records of at most {self._most} bytes, got a longer one on line {line}"
        return PayloadTooLarge(message, details={"line": line})


def separator(header: str) -> str:
    """The separator that makes most columns of a header row."""
    return max(SEPARATORS, key=lambda each: len(cells_of(header, each)))


def cells_of(header: str, separator: str) -> list[str]:
    """The cells of a header row; none where it is no row of this separator."""
    try:
        return next(csv.reader([header], delimiter=separator, strict=True), [])
    except csv.Error:
        return []


def read_rows(lines: Sequence[str], separator: str, first_line: int) -> Iterator[Row]:
    """Read rows of CSV up to the last that is whole; MalformedFile names the line of one that is none.

    `first_line` is the number of the first of these lines, each of which has its line break.
    """
    reader = csv.reader(lines, delimiter=separator, strict=True)
    done = 0
    try:
        for cells in reader:
            yield Row(reader.line_num - done, cells)
            done = reader.line_num
    except csv.Error as error:
        if str(error) != _CUT_OFF:
            raise MalformedFile(
                f"expected a row of CSV on line {first_line + done}, got something else: {_told(str(error))}",
                details={"line": first_line + done},
            ) from None


def _told(said: str) -> str:
    """What the parser says, which would tell a programmer what to do, told to whoever made the file."""
    if "new-line" in said:
        return "lines end with LF or CR LF, and a cell with a line break in it is quoted"
    if "field limit" in said:
        return f"a cell has at most {csv.field_size_limit()} characters"
    return "behind the quote that ends a cell comes a separator; a quote within a cell is doubled"
