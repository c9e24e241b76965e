"""`retailos serve` serves, restarts what dies, and when it ends leaves nothing behind."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from time import monotonic

import msgspec
import pytest

from retailos.app import open_pool
from retailos.database.pool import Connection
from retailos.demo.caller import Caller
from retailos.errors import RetailOSError
from retailos.receiver import Receiver
from tests.acceptance.program import SERVES, Running, alive, children_with, descendants, ran, started, stretched
from tests.conftest import eventually, free_port, soonest
from tests.reliability.test_lost_answers import breaking_line

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

ALICE = {"firstName": "Alice", "email": "alice@example.com"}


async def caller(running: Running, data_dir: Path, *more: str, name: str = "test") -> Caller:
    """Somebody who calls the API that runs, with a key of his own, made with `more` options."""
    made = await ran("keys", "create", "--data-dir", str(data_dir), "--name", name, "--output", "json", *more)
    assert made.code == 0, made.err
    return Caller(port=int((await running.says(SERVES))[1]), key=msgspec.json.decode(made.out)["key"])


async def read_name(integrator: Caller) -> str:
    """The first name of the customer alice, as the API gives it."""
    return str((await integrator.call("GET", "/v2/public/customers/alice"))["firstName"])


def ready(port: int) -> bool:
    """Whether the API answers, and its database too."""
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def gone(pid: int) -> bool:
    """Whether nothing is left of a process, its sockets included."""
    return not Path(f"/proc/{pid}").exists()


async def seconds_until_ready(data_dir: Path, order: signal.Signals) -> float:
    """How long a start takes until the API answers, on a machine that does nothing else; it is stopped by this."""
    port, begun = free_port(), monotonic()
    async with started("serve", "--data-dir", str(data_dir), "--port", str(port)) as running:
        await eventually(lambda: asyncio.to_thread(ready, port))
        took = (monotonic() - begun) / await stretched()
        assert await running.end(order) == 0
    return took


async def test_it_serves_and_leaves_nothing_behind(data_dir: Path) -> None:
    """One command serves on a directory that was not there; asked to stop, it ends well, and PostgreSQL with it."""
    async with started("serve", "--data-dir", str(data_dir), "--port", "0") as running:
        integrator = await caller(running, data_dir)
        await integrator.call("PUT", "/v2/public/customers/alice", ALICE)
        assert await read_name(integrator) == "Alice"
        processes = descendants(running.pid)
        assert len(processes) > 5
        assert await running.end(signal.SIGTERM) == 0, running.err
        assert not [pid for pid in processes if alive(pid)]
    assert "Traceback" not in running.err
    said = {(each["event"], each.get("role")) for each in running.observations}
    assert {("Started", "api"), ("Started", "worker"), ("Stopping", "api"), ("Stopping", "worker")} <= said


async def test_keys_can_be_made_before_and_while_it_serves(data_dir: Path) -> None:
    """A key that was made before the first start opens the API, and so does one that is made while it runs."""
    before = await ran("keys", "create", "--data-dir", str(data_dir), "--name", "before", "--output", "json")
    assert before.code == 0, before.err
    async with started(
        "serve", "--data-dir", str(data_dir), "--port", "0", api_processes="1", worker_processes="1"
    ) as running:
        during = await caller(running, data_dir)
        for key in (msgspec.json.decode(before.out)["key"], during.key):
            assert (await Caller(port=during.port, key=key).call("GET", "/v2/public/stores"))["rows"] == []
        assert await running.end(signal.SIGTERM) == 0


async def test_the_second_start_is_quick(used_dir: Path) -> None:
    """Once there is a database, the API answers within two seconds of a start, however it was stopped before."""
    orders = cycle((signal.SIGTERM, signal.SIGINT))
    await seconds_until_ready(used_dir, next(orders))
    assert await soonest(lambda: seconds_until_ready(used_dir, next(orders)), enough=2.0) <= 2.0


async def test_a_killed_program_leaves_nothing_that_keeps_it_from_starting(used_dir: Path) -> None:
    """Killed outright, it takes its processes along; started again at the same port, it has what was acknowledged."""
    port = free_port()
    async with started(
        "serve", "--data-dir", str(used_dir), "--port", str(port), api_processes="1", worker_processes="1"
    ) as running:
        integrator = await caller(running, used_dir)
        await integrator.call("PUT", "/v2/public/customers/alice", ALICE)
        processes = descendants(running.pid)
        await running.end(signal.SIGKILL)
        await eventually(lambda: not [pid for pid in processes if alive(pid)])
    async with started(
        "serve", "--data-dir", str(used_dir), "--port", str(port), api_processes="1", worker_processes="1"
    ) as running:
        await running.says(SERVES)
        assert await read_name(integrator) == "Alice"
        assert await running.end(signal.SIGTERM) == 0


async def test_a_killed_process_is_started_again(used_dir: Path) -> None:
    """An API process that dies has a successor at the same address, also where the port was left open."""
    async with started(
        "serve", "--data-dir", str(used_dir), "--port", "0", api_processes="1", worker_processes="1"
    ) as running:
        integrator = await caller(running, used_dir)
        [first] = children_with(running.pid, "--api")
        os.kill(first, signal.SIGKILL)
        restarted = await running.observes("ProcessRestarted")
        assert (restarted["role"], restarted["exit_code"]) == ("api", -signal.SIGKILL)
        await eventually(lambda: asyncio.to_thread(ready, integrator.port))
        assert first not in children_with(running.pid, "--api")
        await integrator.call("PUT", "/v2/public/customers/alice", ALICE)
        assert await running.end(signal.SIGTERM) == 0


async def test_processes_of_the_api_stand_in_for_each_other(used_dir: Path) -> None:
    """Several processes share the API's port: while one of them is gone, whichever it is, nobody is refused."""
    async with started(
        "serve", "--data-dir", str(used_dir), "--port", "0", api_processes="2", worker_processes="1"
    ) as running:
        integrator = await caller(running, used_dir)
        await integrator.call("PUT", "/v2/public/customers/alice", ALICE)
        first = children_with(running.pid, "--api")
        assert len(first) == 2
        for before, each in enumerate(first):
            await eventually(partial(running.started, "api", least=2 + before))
            os.kill(each, signal.SIGKILL)
            # Until it is gone, the system may deal it a connection.
            await eventually(partial(gone, each))
            assert {await read_name(integrator) for _ in range(20)} == {"Alice"}
        assert await running.end(signal.SIGTERM) == 0


async def test_workers_stand_in_for_each_other(used_dir: Path) -> None:
    """Several processes deliver: while one of them is gone, whichever it is, whoever asked is told by the others."""
    async with (
        Receiver.listen() as receiver,
        started(
            *("serve", "--data-dir", str(used_dir), "--port", "0"),
            allow_addresses="127.0.0.0/8",
            api_processes="1",
            worker_processes="2",
        ) as running,
    ):
        integrator = await caller(running, used_dir)
        operator = await caller(running, used_dir, "--scopes", "admin:*", name="operator")
        url = f"{receiver.url}/{{externalCustomerId}}"
        await operator.call("POST", "/v2/admin/webhooks", {"name": "erp", "resource": "customer", "url": url})
        await eventually(partial(running.started, "worker", least=2))
        first = children_with(running.pid, "--worker")
        assert len(first) == 2
        for before, each in enumerate(first):
            await eventually(partial(running.started, "worker", least=2 + before))
            os.kill(each, signal.SIGKILL)
            for number in range(10):
                await integrator.call("PUT", f"/v2/public/customers/c-{before}-{number}", ALICE)
            await receiver.expect(10 * (before + 1))
        assert await running.end(signal.SIGTERM) == 0


async def test_a_killed_database_is_started_again(used_dir: Path) -> None:
    """A PostgreSQL that dies is brought back, and what was acknowledged is there."""
    async with started(
        "serve", "--data-dir", str(used_dir), "--port", "0", api_processes="1", worker_processes="1"
    ) as running:
        integrator = await caller(running, used_dir)
        await integrator.call("PUT", "/v2/public/customers/alice", ALICE)
        [server] = children_with(running.pid, "-D")
        os.kill(server, signal.SIGKILL)
        await running.observes("DatabaseBack")

        async def answered() -> str:
            # A connection that the server's death broke is found out by whoever uses it next, and answered with a 503.
            with suppress(RetailOSError):
                return await read_name(integrator)
            return ""

        assert await eventually(answered) == "Alice"
        assert await running.end(signal.SIGTERM) == 0


async def test_it_serves_on_a_postgresql_of_yours(debian_server: str) -> None:
    """On another PostgreSQL 15, named by its URL, it brings the schema along, serves, and leaves the server running."""
    async with started(
        "serve", "--port", "0", database_url=debian_server, api_processes="1", worker_processes="1"
    ) as running:
        made = await ran("keys", "create", "--name", "test", "--output", "json", database_url=debian_server)
        assert made.code == 0, made.err
        port = int((await running.says(SERVES))[1])
        integrator = Caller(port=port, key=msgspec.json.decode(made.out)["key"])
        await integrator.call("PUT", "/v2/public/customers/alice", ALICE)
        assert await running.end(signal.SIGINT) == 0
    async with open_pool(debian_server, "test") as pool:
        assert await pool.fetchval("select count(*) from customers") == 1


@pytest.mark.parametrize(("role", "address"), [("api", "http://127.0.0.1:"), ("worker", "")])
async def test_a_role_alone_is_one_process(database: str, role: str, address: str) -> None:
    """A role of one process on a named PostgreSQL is that process: it starts no other, and ends well when asked to."""
    async with started(
        "serve", f"--{role}", "--port", "0", database_url=database, api_processes="1", worker_processes="1"
    ) as running:
        said = await running.observes("Started")
        assert (said["role"], said["address"].startswith(address)) == (role, True)
        assert not descendants(running.pid)
        assert await running.end(signal.SIGTERM) == 0
    assert "Traceback" not in running.err


@contextmanager
def taken_port() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


async def test_a_port_that_is_taken_is_named(data_dir: Path) -> None:
    """Where somebody else listens already, it says so in one line, and starts nothing."""
    with taken_port() as port:
        ended = await ran("serve", "--data-dir", str(data_dir), "--port", str(port))
    assert ended.code == 1
    assert ended.err == (
        f"Error: The API can't listen at http://127.0.0.1:{port}: Address already in use. "
        "End what listens there, or choose another --host or --port.\n"
    )
    assert not list(data_dir.parent.iterdir())


async def test_another_retailos_is_not_joined_at_its_port(used_dir: Path) -> None:
    """Processes of one program share a port, two programs don't: the second is told that it is taken."""
    async with started(
        "serve", "--data-dir", str(used_dir), "--port", "0", api_processes="1", worker_processes="1"
    ) as running:
        port = (await running.says(SERVES))[1]
        ended = await ran("serve", "--data-dir", str(used_dir.with_name("another")), "--port", port)
        assert (ended.code, "Address already in use" in ended.err) == (1, True)
        assert await running.end(signal.SIGTERM) == 0


async def test_a_process_that_never_serves_ends_the_start(connection: Connection, database: str) -> None:
    """A process that can't begin is not started over and over: the whole start fails, and says which process it was."""
    await connection.execute("alter table worker rename to elsewhere")
    ended = await ran("serve", "--port", "0", database_url=database)
    assert ended.code == 1
    assert "The worker process ended before it was ready (exit code 1); it says why above." in ended.err


@pytest.mark.parametrize("role", ["api", "worker"])
async def test_a_database_that_goes_away_during_a_start_ends_none(database: str, role: str) -> None:
    """A process whose database goes away when it has just been seen begins again, and does not end the program."""
    async with (
        breaking_line(database, f"retailos {role}\0".encode()) as (url, line),
        started("serve", "--port", "0", database_url=url, api_processes="2", worker_processes="1") as running,
    ):
        port = int((await running.says(SERVES))[1])
        await eventually(lambda: asyncio.to_thread(ready, port))
        assert line.broken.is_set()
        assert await running.end(signal.SIGTERM) == 0, running.err
    assert "Traceback" not in running.err
