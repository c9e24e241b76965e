"""B14: how long `retailos serve` takes until the API answers, the first time ever and later."""

import asyncio
import os
import shutil
import sys
from pathlib import Path
from time import monotonic
from typing import Final

from benchmarks.figure import Figure
from benchmarks.stage import Stage, until
from retailos.exchanges.addresses import Policy
from retailos.exchanges.exchange import Request
from retailos.exchanges.transport import Transport

_PATIENCE_SECONDS: Final = 60


async def measure(stage: Stage) -> list[Figure]:
    """Measure a start that makes the database and one that finds it."""
    rounds = [await _first_and_later(stage) for _ in stage.rounds]
    return [
        Figure(
            number="B14", work="first start ever, until the API answers: initdb, migrations, all processes",
            values=[first for first, _ in rounds], unit="s", most=5,
        ),
        Figure(number="B14", work="later start", values=[later for _, later in rounds], unit="s", most=2),
    ]  # fmt: skip


async def _first_and_later(stage: Stage) -> tuple[float, float]:
    data_dir = stage.directory / "started"
    try:
        return await _start(stage, data_dir), await _start(stage, data_dir)
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


async def _start(stage: Stage, data_dir: Path) -> float:
    """Seconds from the command to the first answer."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RETAILOS_")}
    command = (sys.executable, "-m", "retailos.cli", "serve", "--data-dir", str(data_dir), "--port", "0")
    begun = monotonic()
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment | {"RETAILOS_LOG_LEVEL": "warning"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await _answered(stage, await _announced(process))
        return monotonic() - begun
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _announced(process: asyncio.subprocess.Process) -> str:
    """The URL of the API, which the program says when it is ready."""
    line = await process.stdout.readline() if process.stdout else b""
    url = next((word for word in line.decode().split() if word.startswith("http")), None)
    if url is None:
        raise RuntimeError(f"expected the program to say where it serves, got {line!r}")
    return url.partition("/v2")[0]


async def _answered(stage: Stage, url: str) -> None:
    transport = Transport(Policy(allow=stage.settings.allow_addresses))
    request = Request(method="GET", url=f"{url}/health/ready")

    async def ready() -> bool:
        return (await transport.send(request)).status == 200

    await until(ready, every_seconds=0.005)
