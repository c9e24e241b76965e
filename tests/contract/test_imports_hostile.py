"""Files that are damaged, no files at all, or made to do harm: each is refused whole, with what and where it is."""

import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from retailos.imports.gunzip import EXPANSION_FREE_BYTES
from retailos.settings import Settings
from tests.contract import hostile
from tests.contract.conftest import Api, check_envelope, codes, serving
from tests.contract.importing import applied, as_csv, send

RECORD_BYTES = 2048
FILE_BYTES = 64 * 1024
HEADER = b"externalCustomerId,firstName\n"
GOOD = HEADER + b"h-1,Ada\nh-2,Grace\n"
#: More than a chunk, so that something has been kept by the time that the damage is found.
MANY = HEADER + b"h-1,Ada\n" * 2_000
LINE = b'{"externalCustomerId": "h-1", "firstName": "Ada"}\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A file that is no good, how it is refused, and where it is damaged."""

    file: bytes
    form: str = "csv"
    packed: bool = False
    status: int = 400
    code: str = "MALFORMED_FILE"
    line: int | None = None
    byte: int | None = None


DAMAGED = {
    "nothing": Damage(file=b""),
    "nothing, as NDJSON": Damage(file=b"", form="ndjson"),
    "nothing, packed": Damage(file=gzip.compress(b""), packed=True),
    "a gzip file that is cut off": Damage(
        file=gzip.compress(MANY)[:-9], packed=True, byte=len(gzip.compress(MANY)) - 9
    ),
    "a gzip file without its end": Damage(file=gzip.compress(GOOD)[:-1], packed=True),
    "a gzip file that is none": Damage(file=GOOD, packed=True, byte=1),
    "a gzip file with a wrong sum": Damage(file=gzip.compress(GOOD)[:-8] + b"\0" * 8, packed=True),
    "a gzip file with garbage behind it": Damage(file=gzip.compress(GOOD) + b"garbage", packed=True),
    "a gzip file that was not said to be one": Damage(file=gzip.compress(GOOD), line=1, byte=2),
    "another encoding on a line": Damage(file=GOOD + b"h-3,Zo\xeb\n", line=4, byte=len(GOOD) + 7),
    "another encoding after a chunk": Damage(file=MANY + b"h-3,Zo\xeb\n", line=2002, byte=len(MANY) + 7),
    "another encoding in NDJSON": Damage(file=LINE + b'{"a": "\xff"}\n', form="ndjson", line=2, byte=len(LINE) + 8),
    "half a character at the end": Damage(file=GOOD + b"h-3,Zo\xc3", line=4, byte=len(GOOD) + 7),
    "a surrogate": Damage(file=GOOD + b"h-3,\xed\xa0\x80\n", line=4),
    "UTF-16": Damage(file=GOOD.decode().encode("utf-16"), line=1, byte=1),
    "a quote that does not end": Damage(file=GOOD + b'h-3,"Ada\nh-4,Eve\n', line=4),
    "text behind a quote": Damage(file=GOOD + b'h-3,"Ada" Lovelace\n', line=4),
    "lines of an old Macintosh": Damage(file=GOOD.replace(b"\n", b"\r").replace(b"\r", b"\n", 1), line=2),
    "a cell that is too large": Damage(
        file=GOOD + b'h-3,"' + b"x\n" * 70_000 + b'"\n', status=413, code="PAYLOAD_TOO_LARGE"
    ),
    "a row that is too long": Damage(
        file=GOOD + b"h-3," + b"x" * (RECORD_BYTES - 4) + b"\n", status=413, code="PAYLOAD_TOO_LARGE", line=4
    ),
    "a row of many lines that is too long": Damage(
        file=GOOD + b'h-3,"' + b"x\n" * RECORD_BYTES + b'"\n', status=413, code="PAYLOAD_TOO_LARGE", line=4
    ),
    "a row of many bytes and fewer characters": Damage(
        file=GOOD + b"h-3," + "é".encode() * (RECORD_BYTES // 2) + b"\n", status=413, code="PAYLOAD_TOO_LARGE", line=4
    ),
    "a line without end": Damage(
        file=LINE + b'{"a": "' + b"x" * 50_000, form="ndjson", status=413, code="PAYLOAD_TOO_LARGE", line=2
    ),
    "a file that is too large": Damage(
        file=LINE * (FILE_BYTES // len(LINE) + 1), form="ndjson", status=413, code="PAYLOAD_TOO_LARGE"
    ),
    "a packed file that is too large": Damage(
        file=gzip.compress(LINE * (FILE_BYTES // len(LINE) + 1)),
        form="ndjson",
        packed=True,
        status=413,
        code="PAYLOAD_TOO_LARGE",
    ),
    "a header that is no header": Damage(file=LINE + LINE, code="VALIDATION_ERROR"),
    "a blank header": Damage(file=b"\n" + GOOD, code="VALIDATION_ERROR"),
    "201 columns": Damage(file=b",".join([b"x"] * 201) + b"\n", code="VALIDATION_ERROR"),
}


@pytest.fixture(scope="module")
def small(settings: Settings) -> Settings:
    """Settings with limits that a test can go beyond."""
    return replace(settings, body_limit_bytes=RECORD_BYTES, import_limit_bytes=FILE_BYTES)


@pytest.fixture
async def fort(small: Settings, database: str) -> AsyncIterator[Api]:
    """The API with small limits."""
    async with serving(small, database) as running:
        yield running


async def test_a_damaged_file_is_refused_whole(fort: Api) -> None:
    """A file that is damaged anywhere is refused with its line or byte, kept as failed, and changes nothing."""
    wrong = []
    for name, damage in DAMAGED.items():
        headers = {"Content-Encoding": "gzip"} if damage.packed else {}
        answer = await send(fort, damage.file, damage.form, headers=headers)
        error = check_envelope(answer)["error"]
        details = {each: error["details"].get(each) for each in ("line", "byte") if getattr(damage, each)}
        expected = {each: getattr(damage, each) for each in details}
        if (answer.status, error["code"], details) != (damage.status, damage.code, expected):
            wrong.append(f"{name}: {answer.status} {error}")
        kept = (await fort.get(f"/imports/{error['details']['importId']}")).result
        if (
            kept["status"] != "failed"
            or kept["error"]["message"] != error["message"]
            or kept["bytes"] > len(damage.file)
        ):
            wrong.append(f"{name}: {kept}")
    assert not wrong, "\n".join(wrong)
    # None of them waits, and the good rows of none were applied.
    await applied(fort, await send(fort, HEADER))
    assert (await fort.get("/customers?limit=0")).result["count"] == 0


async def test_what_is_just_within_the_limits_is_taken(fort: Api) -> None:
    """A record and a file may be exactly as long as the limits say."""
    longest = b"h-3," + b"x" * 100
    longest += b" " * (RECORD_BYTES - len(longest) - 1) + b"\n"
    count, rest = divmod(FILE_BYTES, len(LINE))
    done = [
        await applied(fort, await send(fort, GOOD + longest)),
        await applied(fort, await send(fort, LINE * count + b" " * rest, "ndjson")),
    ]
    assert [(each["rowsRead"], each["rows"]) for each in done] == [(3, 3), (count, count)]
    assert [each["failed"] for each in done] == [1, 0]


ROW = b"h-1," + b"a" * 9_995 + b"\n"
BOMB = HEADER + ROW * (EXPANSION_FREE_BYTES // len(ROW) + 1)


async def test_a_bomb_is_defused(shop: Api) -> None:
    """A gzip file that unpacks to hundreds of times its size is refused while it unpacks; a small one is taken."""
    answer = await send(shop, gzip.compress(BOMB), headers={"Content-Encoding": "gzip"})
    error = check_envelope(answer, 413)["error"]
    assert "unpacks to at most 200 times its size" in error["message"]
    assert (await shop.get(f"/imports/{error['details']['importId']}")).result["rowsRead"] == 0
    within = await send(
        shop,
        gzip.compress(HEADER + ROW * (EXPANSION_FREE_BYTES // len(ROW) // 8)),
        headers={"Content-Encoding": "gzip"},
    )
    assert within.status == 202


HEADERS: dict[str, list[tuple[str, str]]] = {
    "externalCustomerId,firstNam": [("firstNam", "UNKNOWN_FIELD")],
    "firstName": [("externalCustomerId", "REQUIRED")],
    "externalCustomerId,firstName,firstName": [("firstName", "DUPLICATE")],
    "externalCustomerId,address,address.city": [("address.city", "DUPLICATE")],
    "externalCustomerId,address.citty": [("address.citty", "UNKNOWN_FIELD")],
    "externalCustomerId,details.tier": [("details.tier", "UNKNOWN_FIELD")],
    "externalCustomerId,registeredAt.externalStorId": [("registeredAt.externalStorId", "UNKNOWN_FIELD")],
    "external customer id;first;name": [
        ("external customer id", "UNKNOWN_FIELD"),
        ("first", "UNKNOWN_FIELD"),
        ("name", "UNKNOWN_FIELD"),
        ("externalCustomerId", "REQUIRED"),
    ],
    "externalCustomerId,": [("", "UNKNOWN_FIELD")],
    'externalCustomerId,"first': [('externalCustomerId,"first', "UNKNOWN_FIELD"), ("externalCustomerId", "REQUIRED")],
}


async def test_a_wrong_header_fails_the_import_at_once(shop: Api) -> None:
    """Columns that are unknown, doubled or missing are told at once, with what was meant, before a row is applied."""
    answers = {header: await send(shop, f"{header}\nx,y\n".encode()) for header in HEADERS}
    assert {header: codes(answer) for header, answer in answers.items()} == HEADERS
    messages = [answer.error["details"]["errors"][0]["message"] for answer in answers.values()]
    assert messages[0] == "expected a column of customers, got 'firstNam'; did you mean firstName?"
    assert messages[4].endswith("did you mean address.city?")
    assert messages[5].endswith("details is one column, whose cells hold JSON")
    assert messages[6].endswith("did you mean registeredAt.externalStoreId?")


async def test_no_row_breaks_an_import(shop: Api) -> None:
    """Whatever hostile JSON stands on its lines, an import comes to its end, each line refused and no data told."""
    bodies = [
        each.body for each in hostile.BODIES if each.body and b"\n" not in each.body and len(each.body) < 1_000_000
    ]
    lines = []
    for body in bodies:
        try:
            body.decode()
        except UnicodeDecodeError:
            continue
        lines.append(body)
    done = await applied(shop, await send(shop, b"\n".join(lines), "ndjson"))
    assert len(lines) > 20
    assert done["status"] == "completed"
    assert done["failed"] == done["rowsRead"]
    refused = (await shop.get(f"/jobs?batchId={done['id']}&limit=500")).body
    assert hostile.PERSONAL.encode() not in refused


async def test_rows_of_csv_with_another_length_fail_alone(shop: Api) -> None:
    """A row with more or fewer cells than the header is refused, and its neighbours are applied."""
    done = await applied(
        shop, await send(shop, as_csv([["externalCustomerId", "firstName"], ["l-1"], ["l-2", "A"], ["l-3", "B", "C"]]))
    )
    assert [done["failed"], done["outcomes"]] == [2, {"created": 1}]
