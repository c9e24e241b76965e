"""API processes of the fault tests, of which one serves at a time until it is killed, and senders who outlive them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import RequestError

from tests.conftest import eventually
from tests.reliability import stand
from tests.reliability.stand import Program


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: a status, the envelope, and whether it says that it was the answer already."""

    status: int
    envelope: Any
    replayed: bool

    @property
    def result(self) -> Any:
        """The envelope's result."""
        return self.envelope["result"]

    @property
    def code(self) -> str:
        """The error's code."""
        return str(self.envelope["error"]["code"])


#: Processes that are started ahead, one for each processor.
AHEAD = 2


class Apis:
    """An API process that serves, and those that will take its place, each on a port of its own."""

    def __init__(self, stack: AsyncExitStack, url: str, key: str, client: Client, amount: int) -> None:
        self.all: list[Program] = []
        #: Where the one is that serves.
        self.address = ""
        self.key = key
        #: Answers that nobody should get.
        self.strange: list[str] = []
        self._stack, self._url, self._client = stack, url, client
        self._left = amount
        self._serving: Program | None = None
        self._starting: list[asyncio.Task[tuple[Program, str]]] = []

    async def replace(self) -> None:
        """Kill the one that serves, if there is one, and let the next one take its place."""
        if self._serving:
            await self._serving.kill()
        while self._left and len(self._starting) < AHEAD:
            self._left -= 1
            self._starting.append(asyncio.create_task(self._start()))
        self._serving, self.address = await self._starting.pop(0)

    async def send(
        self, method: str, path: str, json: Any, headers: Mapping[str, str] | None = None
    ) -> Answered | None:
        """Send a request to the one that serves; None where no answer came, once another one serves."""
        address = self.address
        request = self._client.request(method, f"{address}/v2/public{path}").headers(dict(headers or {}))
        try:
            answer = await request.body_json(json).build().send()
            envelope = msgspec.json.decode(await answer.bytes())
        except RequestError:
            await eventually(lambda: self.address != address, within_seconds=stand.START_SECONDS)
            return None
        answered = Answered(answer.status, envelope, answer.get_header("idempotency-replayed") == "true")
        if answer.status >= 400 and answered.code != "IDEMPOTENCY_IN_PROGRESS":
            self.strange.append(f"{answer.status}: {envelope}")
        return answered

    async def _start(self) -> tuple[Program, str]:
        settings = {"database_url": self._url, "port": 0}
        program = await self._stack.enter_async_context(stand.program("serve", "--api", **settings))
        self.all.append(program)
        return program, (await program.until("Started", role="api"))["address"]

    async def settle(self) -> None:
        """Return when nothing is being started any more."""
        await asyncio.gather(*self._starting)


@asynccontextmanager
async def serving(url: str, *, kills: int) -> AsyncIterator[Apis]:
    """An API process that serves, to be replaced so many times; nothing of it outlives the block."""
    key = await stand.make_key(url)
    async with AsyncExitStack() as stack:
        builder = ClientBuilder().no_proxy().http1_only().default_headers({"Authorization": f"API_KEY {key}"})
        client = await stack.enter_async_context(builder.build())
        apis = Apis(stack, url, key, client, kills + 1)
        try:
            await apis.replace()
            yield apis
        finally:
            await apis.settle()
