"""The receiver that the guide prints in its section 11, run by Node as it is printed, takes what we send."""

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from tests.child import spawn
from tests.contract.conftest import Api
from tests.contract.delivering import settled, working

SOURCE = Path(__file__).parent / "express"
INSTALL_SECONDS = 100.0
WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Express:
    """The receiver, which tells of what it processes on a line of its own each."""

    url: str
    lines: asyncio.StreamReader

    async def processed(self) -> Any:
        """The next customer that it processes, with the id from the URL."""
        return await told(self.lines)


async def told(lines: asyncio.StreamReader) -> Any:
    """The next line that is JSON; what else the receiver says is for people."""
    async with asyncio.timeout(WAIT_SECONDS):
        async for line in lines:
            if line.startswith(b"{"):
                return msgspec.json.decode(line)
    raise EOFError("the receiver has ended")


@pytest.fixture(scope="module")
async def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the receiver and its two libraries, at the versions of the lock beside it."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("Node and npm are not installed")
    directory = tmp_path_factory.mktemp("express")
    shutil.copytree(SOURCE, directory, dirs_exist_ok=True)
    command = (npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", "--fetch-retries=1")
    process = await spawn(*command, cwd=directory, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(INSTALL_SECONDS):
            _, said = await process.communicate()
    except TimeoutError:
        process.kill()
        pytest.skip("npm could not install express in time")
    if process.returncode:
        pytest.skip(f"npm can't install express: {said.decode()[:200]}")
    return directory


@pytest.fixture
async def express(installed: Path) -> AsyncIterator[Express]:
    """The guide's receiver at a free port."""
    process = await spawn(
        *("node", "--require", "./surroundings.js", "receiver.js"),
        cwd=installed,
        stdout=PIPE,
        stderr=DEVNULL,
        env={"PATH": os.environ["PATH"], "NODE_ENV": "production"},
    )
    assert process.stdout is not None
    try:
        port = (await told(process.stdout))["port"]
        yield Express(url=f"http://127.0.0.1:{port}/v1/retailos/customer", lines=process.stdout)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def tell(api: Api, express: Express) -> int:
    """Add a webhook to the receiver as the guide configures one; its id."""
    body = {
        "name": "express",
        "resource": "customer",
        "url": f"{express.url}/{{externalCustomerId}}",
        "credentials": {"type": "apiKey", "key": "<your api key here>"},
        "retryLimit": 0,
    }
    answer = await api.admin("POST", "/webhooks", json=body)
    made: int = answer.result["id"]
    return made


async def test_the_guides_receiver_takes_deliveries_unchanged(api: Api, express: Express) -> None:
    """Each customer reaches the receiver's business logic whole, under its id, and its answer is on the attempt."""
    made = await tell(api, express)
    ids = ("example-customer-id", "a/b c?", "Zürich")
    async with working(api):
        for external_id in ids:
            path = f"/customers/{quote(external_id, safe='')}"
            await api.put(path, {"lastName": "Größe", "details": {"a": [1, None]}})
            got = await express.processed()
            assert (got["customerId"], got["customer"]["lastName"]) == (external_id, "Größe")
            assert got["customer"].items() >= (await api.get(path)).result.items()
    shown = await settled(api, made, "example-customer-id")
    [attempt] = shown["attemptHistory"]
    assert (attempt["status"], attempt["responseBody"]) == (200, {"customerId": "example-customer-id"})


async def test_the_guides_refusal_is_found_on_the_attempt(api: Api, express: Express) -> None:
    """A VALIDATION_ERROR of the receiver fails the delivery, and its reasons are kept as it wrote them."""
    made = await tell(api, express)
    async with working(api):
        await api.put("/customers/invalid", {"lastName": "Invalid"})
        refused = await settled(api, made, "invalid", "failed")
        await api.put("/customers/broken", {"lastName": "Broken"})
        broken = await settled(api, made, "broken", "failed")
    [attempt] = refused["attemptHistory"]
    assert (attempt["status"], attempt["errorClass"]) == (400, "http_4xx")
    assert attempt["responseBody"] == {
        "error": {
            "code": "VALIDATION_ERROR",
            "message": "The customer is invalid",
            "details": [{"field": "lastName", "message": "must be a name"}],
        }
    }
    [attempt] = broken["attemptHistory"]
    assert (attempt["status"], attempt["errorClass"]) == (500, "http_5xx")
    assert "<pre>Internal Server Error</pre>" in attempt["responseBody"]
