"""A file is pushed from the command line: over HTTP to an API that runs, or to one that is started for it."""

import csv
import gzip
import os
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import msgspec
import pytest

from retailos.database.pool import Connection
from tests.acceptance.program import SERVES, Ended, ran, started
from tests.child import spawn

ROWS = [
    ["externalCustomerId", "firstName", "dob"],
    ["p-1", "Ada", ""],
    ["p-2", "Grace", "9.6.1990"],
    ["p-3", "Eve", ""],
]


def write(path: Path, rows: list[list[str]]) -> str:
    """Write rows as CSV; the path as an argument."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return str(path)


async def key_of(database: str) -> str:
    """A key for records."""
    made = await ran("keys", "create", "--name", "push", "--output", "json", database_url=database)
    return str(msgspec.json.decode(made.out)["key"])


async def piped(data: bytes, *arguments: str, cwd: Path) -> Ended:
    """Run `retailos` with bytes on its stdin."""
    command = (sys.executable, "-P", "-m", "retailos.cli", *arguments)
    there, here = os.pipe()
    # A pipe holds that much.
    assert os.write(here, data) == len(data) < 16_384
    os.close(here)
    process = await spawn(*command, stdin=there, stdout=PIPE, stderr=PIPE, cwd=cwd)
    os.close(there)
    out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def test_a_file_is_pushed_corrected_and_pushed_again(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    """What is refused is written beside the file and ends with 1; corrected and pushed again, all of it is there."""
    file = write(tmp_path / "customers.csv", ROWS)
    async with started(
        "serve", "--port", "0", database_url=database, api_processes="1", worker_processes="1"
    ) as running:
        url = f"http://127.0.0.1:{(await running.says(SERVES))[1]}/v2/public/"
        (tmp_path / "key").write_text(f"{await key_of(database)}\n")
        to = ("--resource", "customer", "--url", url, "--key-file", str(tmp_path / "key"))
        first = await ran("push", file, *to)
        refused = tmp_path / "customers.failed.csv"
        rows = list(csv.DictReader(refused.open(newline="")))
        refused.write_text(refused.read_text().replace("9.6.1990", "09/06/1990"))
        second = await ran("push", str(refused), *to, "--output", "json")
        packed = gzip.compress(b'{"externalCustomerId": "p-4", "firstName": "Zo\xc3\xab"}\n')
        (tmp_path / "MORE.JSONL.GZ").write_bytes(packed)
        third = await ran("push", str(tmp_path / "MORE.JSONL.GZ"), *to)
        fourth = await piped(
            b"externalCustomerId;firstName\np-5;Max\n", "push", "-", *to, "--format", "csv", cwd=tmp_path
        )
        damaged = await ran("push", write(tmp_path / "wrong.csv", [["externalCustomerId", "firstNam"]] * 300_000), *to)
    assert (first.code, first.out) == (1, f"3 rows read: 2 created, 1 refused, written to {refused}.\n")
    assert [(row["externalCustomerId"], row["_line"]) for row in rows] == [("p-2", "3")]
    assert rows[0]["_error"] == "VALIDATION_ERROR: /dob expected a date dd/mm/yyyy"
    done = msgspec.json.decode(second.out)
    assert (second.code, done["status"], done["outcomes"]) == (0, "completed", {"created": 1})
    assert (third.code, third.out) == (0, "1 rows read: 1 created.\n")
    assert (fourth.code, fourth.out) == (0, "1 rows read: 1 created.\n")
    assert damaged.code == 1
    assert re.search(r"firstNam: expected a column of customers, .*; did you mean firstName\?", damaged.err)
    names = await connection.fetch("select external_id from customers order by 1")
    assert [row[0] for row in names] == ["p-1", "p-2", "p-3", "p-4", "p-5"]


async def test_a_file_is_pushed_into_a_directory(used_dir: Path, tmp_path: Path) -> None:
    """Where no API runs, one is started on the data directory for the length of the command, and its key is revoked."""
    file = write(tmp_path / "stores.tsv", [["externalStoreId", "name"], ["s-1", "Covent Garden"]])
    pushed = await ran("push", file, "--resource", "store", "--data-dir", str(used_dir), "--output", "json")
    listed = await ran("keys", "list", "--data-dir", str(used_dir), "--output", "json")
    keys: list[dict[str, Any]] = msgspec.json.decode(listed.out)
    assert pushed.code == 0, pushed.err
    assert msgspec.json.decode(pushed.out)["outcomes"] == {"created": 1}
    assert [(each["name"], bool(each["revokedAt"])) for each in keys] == [("push", True)]


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("rows.txt", "--resource", "customer", "--url", "http://127.0.0.1:1", "--key", "k"), "tells no format", 2),
        (("rows.csv", "--resource", "custmer"), "'custmer' is not one of", 2),
        (("none.csv", "--resource", "customer"), "does not exist", 2),
        (("rows.csv", "--resource", "customer"), "Or name an API that runs: --url URL --key-file FILE", 2),
        (("rows.csv", "--resource", "customer", "--key", "k", "--data-dir", "d"), "leave one of them out", 2),
        (
            ("rows.csv", "--resource", "customer", "--url", "http://127.0.0.1:1/v2/public", "--key", "k"),
            ":1 does not",
            1,
        ),
        (("rows.csv", "--resource", "customer", "--url", "u", "--data-dir", "d"), "leave one of them out", 2),
        (("rows.csv", "--resource", "customer", "--url", "http://127.0.0.1:1", "--key", "k"), "does not answer", 1),
        (("rows.csv", "--resource", "customer", "--url", "u", "--key", "k"), "expected a URL", 2),
        (
            ("rows.csv", "--resource", "customer", "--url", "http://u", "--key", "k", "--key-file", "rows.txt"),
            "with --key-file or with --key",
            2,
        ),
    ],
)
async def test_a_push_that_leads_nowhere_says_so(
    tmp_path: Path, arguments: tuple[str, ...], said: str, code: int
) -> None:
    """A push without a format, a resource, a database or an API does nothing, says what to do, and fails."""
    write(tmp_path / "rows.csv", ROWS)
    write(tmp_path / "rows.txt", ROWS)
    ended = await ran("push", *arguments, cwd=tmp_path)
    assert (ended.code, said in " ".join(ended.err.split())) == (code, True), ended.err
    assert sorted(os.listdir(tmp_path)) == ["rows.csv", "rows.txt"]
