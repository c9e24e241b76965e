"""`retailos pull` writes all that there is and all that happens; what is killed goes on, and nothing is missed."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from retailos.database import history
from retailos.database.pool import Connection
from retailos.settings import load
from tests.acceptance.program import Ended, ran, started
from tests.child import spawn
from tests.conftest import eventually, free_port
from tests.contract.conftest import Api, serving

#: One key asks for everything here.
UNLIMITED = load({}, host="127.0.0.1", environment="test", requests_per_second=0)


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    """The API on an empty database of this test's own."""
    async with serving(UNLIMITED, database) as running:
        yield running


async def pulled(api: Api, file: Path, *more: str) -> Ended:
    """Pull to the end of what there is."""
    return await ran("pull", str(file), "--url", api.url, "--key", api.key, *more)


def lines(file: Path) -> list[Any]:
    """What a pull has written, each line a row."""
    return [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]


def newest(rows: list[Any]) -> dict[tuple[str, str], int]:
    """The highest version of each record."""
    found: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["resource"], row["id"])
        found[key] = max(row["version"], found.get(key, 0))
    return found


async def stored(api: Api) -> dict[tuple[str, str], int]:
    """The version of each record, as the database has it."""
    rows = await api.engine.pool.fetch(
        "select 'customer' as resource, id::text, version from customers"
        " union all select 'store', id::text, version from stores"
    )
    return {(row["resource"], row["id"]): row["version"] for row in rows}


async def test_a_pull_writes_what_there_is_and_then_what_has_changed(api: Api, tmp_path: Path) -> None:
    """The first pull writes every record, deleted ones too; the next only what happened since, as the feed tells it."""
    for i in range(3):
        await api.put(f"/customers/c-{i}", {"firstName": "Ada"})
    await api.put("/stores/s-1", {"name": "Covent Garden"})
    await api.request("DELETE", "/v2/public/customers/external/c-2")
    file = tmp_path / "all.ndjson"
    first = await pulled(api, file, "--resources", "customer,store")
    assert (first.code, first.out) == (0, ""), first.err
    rows = lines(file)
    assert {row["externalId"]: row["operation"] for row in rows[:4]} == dict.fromkeys(
        ("c-0", "c-1", "c-2", "s-1"), "load"
    )
    assert newest(rows) == await stored(api)
    assert next(row for row in rows if row["externalId"] == "c-2")["data"]["deletedAt"]
    await api.put("/customers/c-1", {"firstName": "Grace"})
    since = len(rows)
    assert (await pulled(api, file, "--resources", "customer,store")).code == 0
    told = (await api.get("/changes")).result["rows"]
    assert lines(file)[since:] == [row for row in told if row["externalId"] == "c-1"]
    assert set(rows[0]) == set(told[0])
    assert (await pulled(api, file, "--resources", "customer,store")).err == "0 lines are written.\n"


async def test_a_pull_that_is_killed_again_and_again_misses_nothing(api: Api, tmp_path: Path) -> None:
    """Killed at any moment, while writers write, pulls go on; in the end the file has every record's last version."""
    random, file = Random(7), tmp_path / "all.ndjson"
    stop = asyncio.Event()
    await fill(api, 1_200)

    async def write(writer: int) -> None:
        i = 0
        while not stop.is_set():
            await api.put(f"/customers/c-{(writer * 311 + i * 7) % 1_300}", {"firstName": f"{writer}-{i}"})
            i += 1

    writers = [asyncio.create_task(write(each)) for each in range(2)]
    named = ("pull", str(file), "--url", api.url, "--key", api.key, "--resources", "customer,store", "--follow")
    try:
        for _ in range(4):
            more = size_of(file) + random.randint(1, 400_000)
            async with started(*named) as running:
                await eventually(partial(is_larger, file, more))
                await running.end(signal.SIGKILL)
    finally:
        stop.set()
        await asyncio.gather(*writers)
    assert (await pulled(api, file, "--resources", "customer,store")).code == 0
    assert newest(lines(file)) == await stored(api)


def size_of(file: Path) -> int:
    """How many bytes a pull has written."""
    return file.stat().st_size if file.exists() else 0


def is_larger(file: Path, size: int) -> bool:
    """Whether a pull has written more than this."""
    return size_of(file) > size


async def fill(api: Api, count: int) -> None:
    """Write many customers."""
    for begin in range(0, count, 400):
        rows = [{"externalCustomerId": f"c-{i}", "firstName": "Ada"} for i in range(begin, begin + 400)]
        assert (await api.put("/customers", {"customers": rows})).status == 200


async def test_a_line_that_a_kill_left_unfinished_is_cut_off(api: Api, tmp_path: Path) -> None:
    """What stands behind the last whole line goes, however long it is, and what it was to be is written again."""
    await api.put("/customers/c-1", {"firstName": "Ada"})
    file = tmp_path / "c.ndjson"
    assert (await pulled(api, file, "--resources", "customer")).code == 0
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"resource": "' + b"x" * 200_000)
    await api.put("/customers/c-1", {"firstName": "Grace"})
    assert (await pulled(api, file, "--resources", "customer")).code == 0
    assert file.read_bytes().startswith(whole)
    # Whoever loads again may be told again.
    assert sorted({row["version"] for row in lines(file)}) == [1, 2]


async def test_a_pull_follows_until_it_is_told_to_stop(database: str, tmp_path: Path) -> None:
    """A pull that follows writes changes as they happen, alone; it stays while the API is away, and ends with 0."""
    file = tmp_path / "c.ndjson"
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(serving(UNLIMITED, database))
        await api.put("/customers/c-1", {"firstName": "Ada"})
        named = ("pull", str(file), "--url", api.url, "--key", api.key, "--resources", "customer")
        running = await stack.enter_async_context(started(*named, "--follow"))
        await eventually(lambda: file.exists() and b"c-1" in file.read_bytes())
        await api.put("/customers/c-2", {"firstName": "Ada"})
        await eventually(lambda: b"c-2" in file.read_bytes())
        other = await ran(*named)
        assert (other.code, "Another pull writes to" in other.err) == (1, True)
        api.engine.watch.close()
        assert [row["externalId"] for row in lines(file)] == ["c-1", "c-2"]
        away = started(*named[:2], "--url", f"http://127.0.0.1:{free_port()}", *named[4:], "--follow")
        assert await running.end(signal.SIGTERM) == 0
        patient = await stack.enter_async_context(away)
        await eventually(lambda: "does not answer" in patient.err and "Trying again." in patient.err)
        assert await patient.end(signal.SIGTERM) == 0


async def test_stdout_takes_lines_too(api: Api, tmp_path: Path) -> None:
    """Without a file the lines go to stdout, from the beginning each time unless a cursor file is named."""
    await api.put("/customers/c-1", {"firstName": "Ada"})
    cursor = tmp_path / "cursor"
    plain = await ran("pull", "--url", api.url, "--key", api.key, "--resources", "customer")
    assert len(plain.out.splitlines()) == 1
    named = ("pull", "-", "--url", api.url, "--key", api.key, "--resources", "customer", "--cursor-file", str(cursor))
    assert [len((await ran(*named)).out.splitlines()) for _ in range(2)] == [1, 0]


async def test_an_expired_cursor_is_told_with_what_to_do(api: Api, connection: Connection, tmp_path: Path) -> None:
    """Where changes are gone that the pull has not seen, it ends with 1 and names --reload, which loads all again."""
    file = tmp_path / "c.ndjson"
    await api.put("/customers/c-1", {"firstName": "Ada"})
    assert (await pulled(api, file, "--resources", "customer")).code == 0
    await api.put("/customers/c-1", {"firstName": "Grace"})
    await connection.execute("update change set at = '2020-01-01'")
    await history.drop(api.engine.pool, {"change": 90})
    expired = await pulled(api, file, "--resources", "customer")
    assert expired.code == 1
    assert "retailos pull --reload" in expired.err

    async def reloaded() -> bool:
        # A list's position may be a second old, and so still be one from before the drop.
        return (await pulled(api, file, "--resources", "customer", "--reload")).code == 0

    await eventually(reloaded)
    # Whoever loads again may be told again.
    assert sorted({row["version"] for row in lines(file)}) == [1, 2]


NOT_LEFT: dict[str, Callable[[Path, bytes], object]] = {
    "is gone": lambda file, _: file.unlink(),
    "bytes in it, now it has 0": lambda file, _: file.write_bytes(b""),
    "bytes in it, now it has": lambda file, whole: file.write_bytes(whole[: whole.index(b"\n") + 1]),
    "is not there": lambda file, whole: file.write_bytes(whole.replace(b"Ada", b"Eve")),
    "lines which went to stdout": lambda file, _: Path(f"{file}.cursor").write_bytes(
        msgspec.json.encode({"resources": ["customer"], "cursor": "c1.1.00000000"})
    ),
}


async def test_a_file_that_is_not_as_the_last_pull_left_it_is_refused(api: Api, tmp_path: Path) -> None:
    """Removed, emptied, cut or replaced, it lacks lines that no pull would bring again; it is left alone, and told."""
    await fill(api, 2)
    file = tmp_path / "c.ndjson"
    for said, spoil in NOT_LEFT.items():
        assert (await pulled(api, file, "--resources", "customer", "--reload")).code == 0
        spoil(file, file.read_bytes())
        left = file.read_bytes() if file.exists() else None
        refused = await pulled(api, file, "--resources", "customer")
        assert (refused.code, said in refused.err, "pull --reload" in refused.err) == (1, True, True), refused.err
        assert (file.read_bytes() if file.exists() else None) == left
    assert (await pulled(api, file, "--resources", "customer", "--reload")).code == 0
    # Lines that a killed pull wrote and did not come to remember are no reason.
    file.write_bytes(file.read_bytes() + file.read_bytes())
    assert (await pulled(api, file, "--resources", "customer")).code == 0
    assert newest(lines(file)) == await stored(api)


@pytest.mark.parametrize("spoil", ["remove", "cut"])
async def test_a_file_that_is_spoiled_under_a_pull_ends_it(api: Api, tmp_path: Path, spoil: str) -> None:
    """A pull that follows does not write on where what it wrote before is gone."""
    file = tmp_path / "c.ndjson"
    await api.put("/customers/c-1", {"firstName": "Ada"})
    named = ("pull", str(file), "--url", api.url, "--key", api.key, "--resources", "customer", "--follow")
    async with started(*named) as running:
        await eventually(Path(f"{file}.cursor").exists)
        if spoil == "remove":
            file.unlink()
        else:
            file.write_bytes(b"")
        await api.put("/customers/c-1", {"firstName": "Eve"})
        await eventually(lambda: "removed or cut" in running.err)
        api.engine.watch.close()


async def test_the_order_of_resources_does_not_matter(api: Api, tmp_path: Path) -> None:
    """What is named is the same, in whichever order."""
    file = tmp_path / "all.ndjson"
    both = [await pulled(api, file, "--resources", each) for each in ("customer,store", "store,customer")]
    assert [each.code for each in both] == [0, 0], both[1].err


async def test_what_can_not_be_written_to_is_told(api: Api, tmp_path: Path) -> None:
    """A full disk behind stdout, a pipe, a place for the cursor that there is not: a line each, no traceback."""
    await api.put("/customers/c-1", {"firstName": "Ada"})
    os.mkfifo(tmp_path / "pipe")
    asked = ("pull", "--url", api.url, "--key", api.key, "--resources", "customer")
    program = (sys.executable, "-P", "-m", "retailos.cli")
    full = os.open("/dev/full", os.O_WRONLY)
    process = await spawn(*program, *asked, stdout=full, stderr=PIPE)
    os.close(full)
    err = (await process.communicate())[1].decode()
    assert (process.returncode, err) == (1, "Error: stdout can't be written to: No space left on device.\n")
    pipe = await ran(*asked, str(tmp_path / "pipe"))
    assert (pipe.code, "no file but a pipe or a device; write there with" in pipe.err) == (1, True), pipe.err
    nowhere = await ran(*asked, "--cursor-file", str(tmp_path / "no" / "cursor"))
    assert (nowhere.code, "no/cursor" in nowhere.err, "Traceback" in nowhere.err) == (1, True, False), nowhere.err


REFUSED = {
    "Request unauthorized: the key is none of this installation and environment": (("--key", "rk_x"), 1),
    "Give the API key, with --key-file or with --key": ((), 2),
    "got 'custmer'; did you mean customer?": (("--key", "x", "--resources", "custmer"), 2),
    "Expected an API key": (("--key", "é"), 2),
}


async def test_a_pull_that_can_not_be_says_why(api: Api, tmp_path: Path) -> None:
    """A pull that was asked for wrongly ends with 2, one that is refused with 1, each with what to do."""
    asked = [ran("pull", str(tmp_path / said[:4]), "--url", api.url, *given) for said, (given, _) in REFUSED.items()]
    for ended, (said, (_, code)) in zip(await asyncio.gather(*asked), REFUSED.items(), strict=True):
        assert (ended.code, said in " ".join(ended.err.split())) == (code, True), ended.err
        assert "Traceback" not in ended.err
