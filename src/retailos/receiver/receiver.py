"""A receiver: it listens, answers each request as it is told to, and remembers what came."""

import asyncio
import ssl
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, Self

import msgspec

from retailos.receiver.behaviour import Behaviour, answer_of
from retailos.receiver.connection import Connection
from retailos.receiver.received import Received, names_in

REFUSAL: Final = MappingProxyType({"code": "REFUSED", "message": "This receiver was told to refuse"})
#: How it answers unless it is told otherwise.
WELL: Final = Behaviour()
#: Requests kept by default; enough for any test, and some 300 MB with bodies of 2 KB.
REMEMBER: Final = 100_000
#: It ends what would hang, and is no promise of how soon anything comes.
WAIT_SECONDS: Final = 60.0


#: What a receiver can be told: one behaviour for all, one after the other (the last stays), or a function.
Behaviours = Behaviour | Sequence[Behaviour] | Callable[[Received], Behaviour]
#: Told of each request and the status that it gets, 0 for none.
OnReceived = Callable[[Received, int], None]


class Receiver:
    """A listening receiver; `url` is where to send to, `received` what came."""

    def __init__(
        self,
        behaviour: Behaviours = WELL,
        *,
        remember: int = REMEMBER,
        on_received: OnReceived | None = None,
    ) -> None:
        self.received: deque[Received] = deque(maxlen=remember)
        #: Requests and connections so far.
        self.count = 0
        self.connections = 0
        #: How often each status was answered; 0 stands for dropped, reset and left hanging.
        self.answered: Counter[int] = Counter()
        self.url = ""
        self._on_received = on_received
        self._failures_owed = 0.0
        self._refusals_owed = 0.0
        self._open: set[Connection] = set()
        self._waiting: list[asyncio.Future[None]] = []
        self._rendered: tuple[Behaviour | None, bytes] = (None, b"")
        self.behave(behaviour)

    @classmethod
    @asynccontextmanager
    async def listen(
        cls,
        host: str = "127.0.0.1",
        port: int = 0,
        behaviour: Behaviours = WELL,
        *,
        remember: int = REMEMBER,
        on_received: OnReceived | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> AsyncIterator[Self]:
        """Listen for the length of the block, on any free port unless one is named; OSError if it is taken."""
        receiver = cls(behaviour, remember=remember, on_received=on_received)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(receiver, loop),
            host,
            port,
            ssl=tls,
            ssl_shutdown_timeout=1.0 if tls else None,
            backlog=1024,
        )
        bound = server.sockets[0].getsockname()[1]
        receiver.url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{bound}"
        try:
            yield receiver
        finally:
            server.close()
            await receiver._close()
            await server.wait_closed()

    def opened(self, connection: Connection) -> None:
        """Count a connection, and keep it until it is gone."""
        self.connections += 1
        self._open.add(connection)

    def closed(self, connection: Connection) -> None:
        """Forget a connection that is gone."""
        self._open.discard(connection)

    def behave(self, behaviour: Behaviours) -> None:
        """Answer differently from the next request on."""
        self._decide: Callable[[Received], Behaviour] | None = None
        self._script: deque[Behaviour] = deque()
        if isinstance(behaviour, Behaviour):
            self._script.append(behaviour)
        elif isinstance(behaviour, Sequence):
            self._script.extend(behaviour)
        else:
            self._decide = behaviour

    async def expect(self, count: int, within_seconds: float = WAIT_SECONDS) -> list[Received]:
        """Wait until so many requests came in all; the ones remembered. AssertionError names how many did come."""
        await self.wait_until(lambda receiver: receiver.count >= count, within_seconds)
        return list(self.received)

    async def wait_until(self, predicate: Callable[[Self], bool], within_seconds: float = WAIT_SECONDS) -> None:
        """Wait until the predicate holds, asked now and after each request; AssertionError if it never does."""
        try:
            async with asyncio.timeout(within_seconds):
                while not predicate(self):
                    woken = asyncio.get_running_loop().create_future()
                    self._waiting.append(woken)
                    await woken
        except TimeoutError:
            message = f"what was expected did not come in {within_seconds} s; {self.count} requests did"
            raise AssertionError(message) from None

    def take(
        self, method: bytes, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> tuple[Behaviour, bytes]:
        """Remember one request; how it is answered, and with which bytes."""
        self.count += 1
        received = Received(
            sequence=self.count,
            at=time.monotonic(),
            method=method.decode(),
            path=path.decode("latin-1"),
            raw_headers=tuple(headers),
            body=body,
        )
        behaviour = self._choose(received)
        status = 0 if behaviour.drop or behaviour.reset or behaviour.hang else behaviour.status
        self.answered[status] += 1
        self.received.append(received)
        if self._on_received:
            self._on_received(received, status)
        for woken in self._waiting:
            if not woken.done():
                woken.set_result(None)
        self._waiting.clear()
        if behaviour.body is None and behaviour.status < 300 and (names := names_in(received)):
            return behaviour, answer_of(replace(behaviour, body=self._results(behaviour.refuse_ratio, names)))
        return behaviour, self._render(behaviour)

    def _results(self, refuse_ratio: float, names: Sequence[dict[str, str]]) -> bytes:
        """A verdict for each record of a batch, in the agreement that a webhook has unless told otherwise."""
        results: list[dict[str, Any]] = []
        for name in names:
            self._refusals_owed += refuse_ratio
            refused = self._refusals_owed >= 1
            self._refusals_owed -= refused
            results.append(name | {"error": dict(REFUSAL) if refused else None})
        return msgspec.json.encode({"results": results})

    def _choose(self, received: Received) -> Behaviour:
        if self._decide:
            behaviour = self._decide(received)
        else:
            behaviour = self._script[0] if len(self._script) == 1 else self._script.popleft()
        self._failures_owed += behaviour.fail_ratio
        if self._failures_owed < 1:
            return behaviour
        self._failures_owed -= 1
        return replace(behaviour, status=behaviour.fail_status, body=None)

    def _render(self, behaviour: Behaviour) -> bytes:
        if self._rendered[0] is not behaviour:
            self._rendered = (behaviour, answer_of(behaviour))
        return self._rendered[1]

    async def _close(self) -> None:
        """Close what is idle, abort what still waits for its answer, and see every connection gone."""
        for connection in tuple(self._open):
            connection.finish()
        while self._open:
            gone = asyncio.get_running_loop().create_future()
            next(iter(self._open)).gone = gone
            await gone
