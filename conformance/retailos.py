"""RetailOS as a sender: the program is started, and everything else goes over its API."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.request import Request, urlopen

from conformance.waiting import until

PROGRAM = (sys.executable, "-m", "retailos.cli")
#: Its receivers are on this machine, and apply nothing later than three seconds after they were given up.
SETTINGS = MappingProxyType(
    {"RETAILOS_ALLOW_ADDRESSES": "127.0.0.0/8", "RETAILOS_LATE_SECONDS": "3", "RETAILOS_LOG_LEVEL": "error"}
)
START_SECONDS = 60.0
#: Between two attempts.
RETRY_SECONDS = 0.5


class NeverServed(Exception):
    """The program was started, and did not serve in time."""


@dataclass(frozen=True, slots=True)
class RetailOS:
    """A running RetailOS."""

    address: str
    key: str
    timeout_seconds: float

    async def point(self, name: str, url: str) -> None:
        """Add a webhook."""
        body = {
            "name": name,
            "resource": "customer",
            "url": f"{url}/customer/{{externalCustomerId}}",
            "timeout": self.timeout_seconds,
            "retryLimit": 20,
            "retryDelay": RETRY_SECONDS,
            "retryBackoff": False,
            "retryDelayMax": 60,
        }
        await self._send("POST", "/v2/admin/webhooks", body)

    async def write(self) -> None:
        """Write a customer."""
        await self._send("PUT", "/v2/public/customers/conformance", {"firstName": "Ada", "lastName": "Lovelace"})

    async def _send(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        headers = {"Authorization": f"API_KEY {self.key}", "Content-Type": "application/json"}
        request = Request(self.address + path, json.dumps(body).encode(), headers, method=method)
        await asyncio.to_thread(lambda: urlopen(request, timeout=START_SECONDS).read())


@asynccontextmanager
async def started(timeout_seconds: float) -> AsyncIterator[RetailOS]:
    """Run the program of this environment on a database of its own, as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as directory:
        # The database may run as a user of its own, who has to enter here.
        os.chmod(directory, 0o755)  # noqa: S103
        data = ("--data-dir", f"{directory}/data")
        port = _free_port()
        environment = os.environ | SETTINGS
        serving = await asyncio.create_subprocess_exec(*PROGRAM, "serve", *data, "--port", str(port), env=environment)
        try:
            ready = f"http://127.0.0.1:{port}/health/ready"
            if not await until(lambda: asyncio.to_thread(_answers, ready), START_SECONDS):
                raise NeverServed(f"RetailOS does not answer {ready}; try `retailos doctor`")
            scopes = ("--scopes", "*:write,admin:*")
            made = (*PROGRAM, "keys", "create", *data, "--name", "conformance", "--output", "json", *scopes)
            key = await asyncio.to_thread(subprocess.check_output, made)
            yield RetailOS(f"http://127.0.0.1:{port}", json.loads(key)["key"], timeout_seconds)
        finally:
            serving.terminate()
            await serving.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=START_SECONDS) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
