"""A file is cut into the same records however it comes, and what breaks its frame is found with its place."""

import csv
import gzip
import io
import tracemalloc
from collections.abc import Iterator, Sequence
from random import Random

import pytest

from retailos.errors import MalformedFile, PayloadTooLarge
from retailos.imports.framing import Framing, Record, separator
from retailos.imports.gunzip import EXPANSION_FREE_BYTES, EXPANSION_MOST, PIECE_BYTES, Gunzip

MOST = 1_000
FILE = 'id,name\n1,"a\nb, ""c"""\r\n\n2,é😀\n3,"\n\n"\n4,last'
RECORDS = [(2, '1,"a\nb, ""c"""\r\n'), (4, "\n"), (5, "2,é😀\n"), (6, '3,"\n\n"\n'), (9, "4,last")]
LINES = '{"a": 1}\n\n{"b": "é😀"}\r\n{}'
CUT_LINES = [(1, '{"a": 1}\n'), (2, "\n"), (3, '{"b": "é😀"}\r\n'), (4, "{}")]


def pieces(data: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    """Data, cut at these places."""
    for begin, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        yield data[begin:end]


def framed(data: bytes, cuts: Sequence[int] = (), *, form: str = "csv", most: int = MOST) -> list[Record]:
    """The records of a file that comes in pieces."""
    framing = Framing(csv=form == "csv", record_bytes=most)
    records = [record for piece in pieces(data, cuts) for record in framing.feed(piece)]
    return [*records, *framing.finish()]


@pytest.mark.parametrize(("form", "text", "records"), [("csv", FILE, RECORDS), ("ndjson", LINES, CUT_LINES)])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_a_file_has_the_same_records_however_it_comes(
    form: str, text: str, records: list[tuple[int, str]], start: bytes
) -> None:
    """Wherever a file is cut on its way, also within a character or a cell, its records and lines are the same."""
    data = start + text.encode()
    assert framed(data, form=form) == records
    for cut in range(len(data) + 1):
        assert framed(data, [cut], form=form) == records
    assert framed(data, range(1, len(data)), form=form) == records


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(FILE.encode()), "Content-Encoding: gzip"),
        (FILE.encode("utf-16"), "UTF-16"),
        (b"\xfe\xff" + FILE.encode("utf-16-be"), "UTF-16"),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00\xff\xee", "save it as CSV"),
        ("id,name\n1,é\n".encode("latin-1"), "save the file as UTF-8"),
    ],
    ids=["packed", "UTF-16", "UTF-16, the other way", "a workbook", "Latin 1"],
)
def test_a_file_of_another_kind_is_told_from_how_it_begins(data: bytes, said: str) -> None:
    """What is no UTF-8 is refused, and, where it is known what it is, with what to do about it."""
    with pytest.raises(MalformedFile, match=r"^expected UTF-8") as caught:
        framed(data)
    assert said in caught.value.message


def test_any_table_is_cut_into_its_rows() -> None:
    """Whatever stands in its cells, a table that was written as CSV has as many records as rows, at their lines."""
    random = Random(11)
    letters = ["a", "é", '"', ",", "\n", "\r\n", ";", " ", "\t", "'", ""]
    for _ in range(200):
        rows = [["".join(random.choices(letters, k=random.randrange(6))) for _ in "ab"] for _ in range(20)]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([["x", "y"], *rows])
        data = text.getvalue().encode()
        cuts = sorted(random.sample(range(len(data)), 5))
        records = framed(data, cuts)
        read = [next(csv.reader(io.StringIO(record.text, newline=""))) for record in records]
        assert read == rows
        lines = text.getvalue().split("\n")
        assert all(record.text.startswith(lines[record.line - 1]) for record in records)


@pytest.mark.parametrize("length", [MOST, MOST + 1])
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_record_is_as_long_as_it_may_be(form: str, length: int) -> None:
    """A record of exactly the limit is taken, one byte more is refused; characters count by their bytes."""
    for text in ("x" * (length - 1) + "\n", "é" * ((length - 1) // 2) + "x" * ((length - 1) % 2) + "\n"):
        data = f"id\n{text}".encode()
        if length > MOST:
            with pytest.raises(PayloadTooLarge, match="on line 2") as refused:
                framed(data, form=form)
            assert refused.value.details == {"line": 2}
        else:
            assert framed(data, form=form)[-1].text == text


def test_a_line_without_end_fills_no_memory() -> None:
    """A line that never ends is refused as soon as it is longer than a record may be."""
    framing = Framing(csv=False, record_bytes=MOST)
    assert list(framing.feed(b"x" * MOST)) == []
    with pytest.raises(PayloadTooLarge):
        list(framing.feed(b"x"))


def test_a_long_file_fills_no_memory() -> None:
    """Of a file of any length no more is held than a piece and a record."""
    framing = Framing(csv=True, record_bytes=MOST)
    piece = b'1,"a\nb",' + b"x" * 50 + b"\n"
    count = sum(1 for _ in framing.feed(b"id,name,more\n"))
    tracemalloc.start()
    for _ in range(500):
        count += sum(1 for _ in framing.feed(piece * 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 500 * 20
    assert peak < 500_000


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("a,b;c,d", ","),
        ("a;b", ";"),
        ("a\tb,c\td", "\t"),
        ("a", ","),
        ('"a;x";"b,y"', ";"),
        ('"a,b",c', ","),
        ("", ","),
    ],
)
def test_the_separator_is_that_of_the_header(header: str, expected: str) -> None:
    """The separator is the one that makes most columns of the header row, quoted ones apart."""
    assert separator(header) == expected


def unpacked(packed: bytes, size: int) -> bytes:
    """What a gzip stream holds that comes in pieces of this size."""
    gunzip = Gunzip()
    whole = b"".join(b"".join(gunzip.feed(packed[at : at + size])) for at in range(0, len(packed), size))
    gunzip.finish()
    return whole


def test_gzip_is_unpacked_however_it_comes() -> None:
    """One member or many, padded or not, in pieces of any size, a gzip stream unpacks to what was packed."""
    text = b"".join(b"%d,%d\n" % (i, i * i) for i in range(2_000))
    packed = gzip.compress(text)
    for size in (1, 7, 1_000, len(packed) * 2):
        assert unpacked(packed, size) == text
        assert unpacked(packed + packed + b"\0" * 20, size) == text * 2


def test_gzip_that_is_cut_anywhere_is_refused() -> None:
    """A gzip stream without its end, wherever it is cut, is not taken for the whole."""
    packed = gzip.compress(b"1,Ada\n" * 100)
    for end in range(1, len(packed)):
        with pytest.raises(MalformedFile, match="cut off"):
            unpacked(packed[:end], 5)


def test_a_bomb_is_unpacked_in_pieces() -> None:
    """Of what unpacks to a thousand times its size no more than a piece is held, and soon no more is unpacked."""
    packed = gzip.compress(b"\0" * (EXPANSION_FREE_BYTES * 3))
    sizes: list[int] = []
    assert len(packed) * EXPANSION_MOST < EXPANSION_FREE_BYTES
    with pytest.raises(PayloadTooLarge):
        sizes.extend(map(len, Gunzip().feed(packed)))
    assert max(sizes) <= PIECE_BYTES
    assert EXPANSION_FREE_BYTES - PIECE_BYTES <= sum(sizes) <= EXPANSION_FREE_BYTES
