"""Machines of the tests: network namespaces with addresses of their own, whose cable can be pulled.

The test's own process, the database and the receiver are on a third machine: the one that runs the tests.
"""

import asyncio
import os
import random
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import pytest

from retailos.database import embedded
from tests.child import spawn
from tests.conftest import eventually, free_port, open_directory, with_database
from tests.reliability import stand
from tests.reliability.stand import Program

#: Whoever connects comes from one of our machines.
RULES: Final = "local all all trust\nhost all all samenet trust\n"
#: Nothing listens there on any machine of ours.
NOBODYS_PORT: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine: how programs are run on it, its address, and that of the other end of its cable."""

    name: str
    address: str
    other_end: str

    @property
    def within(self) -> Sequence[str]:
        """What stands before a command that is to be run there."""
        return ("ip", "netns", "exec", self.name)

    async def pull(self) -> None:
        """Pull the cable: nothing gets through, and nobody is told."""
        await _ip("netns", "exec", self.name, "ip", "link", "set", "eth0", "down")

    async def plug(self) -> None:
        """Plug the cable in again, and return when it carries; the route went with the link."""
        await _ip("netns", "exec", self.name, "ip", "link", "set", "eth0", "up")
        await _ip("netns", "exec", self.name, "ip", "route", "add", "default", "via", self.other_end)
        # Until its neighbour is found again, the kernel says for a while that there is none.
        await eventually(lambda: _refuses(self.address))

    @asynccontextmanager
    async def run(self, *arguments: str, **settings: object) -> AsyncIterator[Program]:
        """Run `retailos` there."""
        async with stand.run_within(self.within, {}, arguments, settings) as program:
            yield program


@asynccontextmanager
async def machines(count: int) -> AsyncIterator[list[Machine]]:
    """So many machines, each on a cable of its own to this one; skips the test where this machine makes none."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root, and ip from Debian's iproute2")
    net = f"10.{random.randint(64, 250)}.{random.randint(0, 250)}"
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(_machine(f"{net}.{4 * number}", number)) for number in range(count)]


@asynccontextmanager
async def _machine(network: str, number: int) -> AsyncIterator[Machine]:
    start, _, last = network.rpartition(".")
    machine = Machine(
        name=f"rt{os.getpid()}-{number}", other_end=f"{start}.{int(last) + 1}", address=f"{start}.{int(last) + 2}"
    )
    cable = f"rt{os.getpid()}c{number}"
    if not await _ip("netns", "add", machine.name, patient=True):
        pytest.skip("this machine makes no network namespaces")
    try:
        await _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", machine.name)
        await _ip("addr", "add", f"{machine.other_end}/30", "dev", cable)
        await _ip("link", "set", cable, "up")
        await _ip("netns", "exec", machine.name, "ip", "addr", "add", f"{machine.address}/30", "dev", "eth0")
        await _ip("netns", "exec", machine.name, "ip", "link", "set", "eth0", "up")
        await _ip("netns", "exec", machine.name, "ip", "link", "set", "lo", "up")
        await _ip("netns", "exec", machine.name, "ip", "route", "add", "default", "via", machine.other_end)
        yield machine
    finally:
        await _ip("netns", "del", machine.name)
        # Its cable goes with it, unless a process there still holds it.
        await _ip("link", "del", cable, patient=True)


async def _refuses(address: str) -> bool:
    """Whether a machine says that nobody listens at a port: it is there."""
    try:
        async with asyncio.timeout(1):
            await asyncio.open_connection(address, NOBODYS_PORT)
    except ConnectionRefusedError:
        return True
    except OSError:
        pass
    return False


async def _ip(*arguments: str, patient: bool = False) -> bool:
    """Run ip; False where it refuses and that is to be borne."""
    process = await spawn("ip", *arguments, stdout=DEVNULL, stderr=PIPE)
    _, said = await process.communicate()
    assert patient or process.returncode == 0, (arguments, said)
    return process.returncode == 0


@asynccontextmanager
async def database_for(machines: Sequence[Machine]) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """A PostgreSQL that listens at each cable; its URL here, and the URL for each machine by the machine's name."""
    port = free_port()
    settings = {"listen_addresses": ",".join(each.other_end for each in machines), "port": str(port)}
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(open_directory())
        cluster = await embedded.start(directory / "data", settings=settings)
        stack.push_async_callback(cluster.stop)
        (directory / "data" / "postgresql" / "pg_hba.conf").write_text(RULES)
        async with stand.connected(cluster.url) as connection:
            await connection.execute("create database retailos")
            await connection.execute("select pg_reload_conf()")
        urls = {each.name: f"postgresql://postgres@{each.other_end}:{port}/retailos" for each in machines}
        yield with_database(cluster.url, "retailos"), urls
