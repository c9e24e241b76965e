"""A push goes on where the API is away for a while, and leaves no half of anything where it stays away."""

import asyncio
import csv
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from retailos.cli.sending import sender
from retailos.database.pool import Connection
from retailos.errors import Unavailable
from tests.acceptance.away import IMPORT_ID, answer, playing, refused, shown
from tests.acceptance.program import SERVES, Ended, Running, children_with, ran, started
from tests.acceptance.test_push import key_of, piped, write
from tests.conftest import eventually

#: Rows that are refused, and large: the file takes its time to go up, to be applied and to come back.
ROWS = 2_000
LARGE = "x" * 12_000
FILE = b"externalCustomerId,dob\np-1,\np-2,x\n"
NOT_NOW = refused(503, "The database is away.")
ROW = answer(200, b"the row\n")
SLOWER = refused(429, "Too many requests.", more="Retry-After: 3\r\n")


def push(file: Path, url: str, key: str = "k") -> tuple[str, ...]:
    """The command that pushes a file of customers."""
    return ("push", str(file), "--resource", "customer", "--url", url, "--key", key)


async def pushed(tmp_path: Path, url: str) -> tuple[Ended, Path]:
    """Push a file of two rows; how it ended, and where the refused row is written to."""
    (tmp_path / "c.csv").write_bytes(FILE)
    return await ran(*push(tmp_path / "c.csv", url)), tmp_path / "c.failed.csv"


async def kill_api(running: Running) -> None:
    """Kill the process of the API, and wait until it has a successor."""
    [api] = children_with(running.pid, "--api")
    os.kill(api, signal.SIGKILL)
    await eventually(lambda: [each for each in children_with(running.pid, "--api") if each != api])


async def test_a_push_outlives_the_api_in_each_of_its_phases(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    """Killed while the file goes up, while it is applied, while refused rows come back: one import, and all of it."""
    rows = [[f"p-{i}", "Ada", LARGE if i else ""] for i in range(ROWS)]
    file = Path(write(tmp_path / "customers.csv", [["externalCustomerId", "firstName", "dob"], *rows]))
    refused_rows, coming = tmp_path / "customers.failed.csv", tmp_path / "customers.failed.csv.new"

    async def status(*wanted: str) -> bool:
        # What comes after it counts, too: a test that is kept waiting itself may not see each.
        return bool(await connection.fetchval("select 1 from import where status = any($1)", wanted))

    async with started(
        "serve", "--port", "0", database_url=database, api_processes="1", worker_processes="1"
    ) as running:
        url = f"http://127.0.0.1:{(await running.says(SERVES))[1]}"
        async with started(*push(file, url, await key_of(database))) as pushing:
            await eventually(lambda: status("uploading", "queued", "active", "completed"))
            await kill_api(running)
            await eventually(lambda: status("active", "completed"))
            await kill_api(running)
            await eventually(lambda: coming.exists() or refused_rows.exists())
            await kill_api(running)
            await eventually(refused_rows.exists)
            # A signal that means nothing to it: it is at its end.
            assert await pushing.end(signal.SIGCONT) == 1
    told = re.search(r"Import (\S+) is queued\.", pushing.err)
    done = await connection.fetch("select id::text from import where status = 'completed'")
    assert [row[0] for row in done] == [told and told[1]]
    assert pushing.out == f"{ROWS:,} rows read: 1 created, {ROWS - 1:,} refused, written to {refused_rows}.\n"
    assert [row["_line"] for row in csv.DictReader(refused_rows.open(newline=""))] == [
        str(i + 2) for i in range(1, ROWS)
    ]
    assert not coming.exists()


async def test_what_says_not_now_is_asked_again(tmp_path: Path) -> None:
    """Where 503, 429 or half an answer comes, it is tried again, no sooner than asked: one key, all of the file."""
    looks = [NOT_NOW, shown(status="active"), answer(200, b"{", length=9), shown()]
    rows = [answer(200, b"the", length=8), NOT_NOW, ROW]
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with playing({"POST /v2/public/imports": [SLOWER, shown(202)], IMPORT_ID: looks, "/results": rows}) as api:
        ended, file = await pushed(tmp_path, api.url)
    assert (ended.code, file.read_bytes()) == (1, b"the row\n"), ended.err
    assert loop.time() - begun > 3
    sent = [request for request in api.requests if request[0].startswith("POST")]
    keys = {re.findall(r"(?i)^idempotency-key: (\S+)\r$", head, re.MULTILINE)[0] for head, _ in sent}
    assert ([body for _, body in sent], len(keys)) == ([FILE, FILE], 1)
    assert ended.err.splitlines()[0] == "Too many requests. Trying again."
    assert f"Import {IMPORT_ID} is queued." in ended.err


async def test_each_push_has_a_key_of_its_own(tmp_path: Path) -> None:
    """A file that is pushed again is another import, since the records may have changed meanwhile."""
    async with playing({"POST /v2/public/imports": [shown(202)], IMPORT_ID: [shown(failed=0)]}) as api:
        for _ in range(2):
            assert (await pushed(tmp_path, api.url))[0].code == 0
    assert len({re.findall(r"(?i)idempotency-key: (\S+)", head)[0] for head, _ in api.requests if "POST" in head}) == 2


async def test_what_can_not_be_read_again_is_not_sent_again(tmp_path: Path) -> None:
    """A pipe that has gone in part is at its end: the push fails, and says what to do."""
    async with playing({"POST /v2/public/imports": [NOT_NOW, shown(202)]}) as api:
        to = ("--resource", "customer", "--format", "csv", "--url", api.url, "--key", "k")
        ended = await piped(FILE, "push", "-", *to, cwd=tmp_path)
    assert (ended.code, "can't be read again; push it once more" in ended.err) == (1, True), ended.err
    assert len(api.requests) == 1


async def test_an_api_that_stays_away_is_given_up(tmp_path: Path) -> None:
    """It is not asked for ever."""
    said: list[str] = []
    async with playing({IMPORT_ID: [NOT_NOW]}) as api:
        sending = replace(sender(api.url, "k"), patience_seconds=7, say=said.append)
        with pytest.raises(Unavailable, match="The database is away"):
            await sending.wait(IMPORT_ID, lambda _: None)
    assert (len(api.requests), said) == (3, ["The database is away. Trying again."])


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (refused(404, "No such import."), "No such import."),
        (answer(204, b""), "got an answer 204"),
        (answer(301, b"elsewhere"), "got an answer 301"),
    ],
)
async def test_an_error_is_not_written_into_the_file_of_refused_rows(tmp_path: Path, rows: bytes, told: str) -> None:
    """What is no refused row is told, with where the rows are; the file of an earlier push stays as it was."""
    (tmp_path / "c.failed.csv").write_bytes(b"corrected\n")
    async with playing({"POST /v2/public/imports": [shown(202)], IMPORT_ID: [shown()], "/results": [rows]}) as api:
        ended, file = await pushed(tmp_path, api.url)
    assert (ended.code, told in ended.err, f"{IMPORT_ID}/results" in ended.err) == (1, True, True), ended.err
    assert (file.read_bytes(), sorted(os.listdir(tmp_path))) == (b"corrected\n", ["c.csv", "c.failed.csv"])


async def test_a_place_that_takes_no_file_is_told(tmp_path: Path) -> None:
    """Where the refused rows can't be written, it is said where they are."""
    (tmp_path / "c.failed.csv.new").mkdir()
    async with playing({"POST /v2/public/imports": [shown(202)], IMPORT_ID: [shown()], "/results": [ROW]}) as api:
        ended, _ = await pushed(tmp_path, api.url)
    assert (ended.code, "c.failed.csv.new can't be written to: Is a directory" in ended.err) == (1, True), ended.err
