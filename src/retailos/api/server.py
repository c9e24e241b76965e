"""The API process: a pool, a writer and a server, put together, run until it is told to stop, and taken apart."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import cache, partial

import uvicorn
from starlette.routing import BaseRoute

from retailos.api import port
from retailos.api.access import admit
from retailos.api.admin import admin_operations
from retailos.api.call import Engine, Operation
from retailos.api.documents import document_routes
from retailos.api.health import health_routes
from retailos.api.limits import FailureRate, RequestRate
from retailos.api.middleware import FrontDoor
from retailos.api.protocol import PATIENCE, EnvelopeProtocol, Patience
from retailos.api.report_files import report_file_routes
from retailos.api.router import build_router
from retailos.api.routes import public_operations
from retailos.api.tls import Certificate
from retailos.database.pool import connect
from retailos.declare.resource import Resources
from retailos.deliveries.hint import Hint
from retailos.jobs.queue import Queue
from retailos.keys import KeyRing
from retailos.keys.used import LastUsed
from retailos.records.reader import Reader
from retailos.records.watch import Watch
from retailos.records.writer import Writer
from retailos.resources import RESOURCES
from retailos.settings import Settings

#: Requests that are under way when the process is told to stop have so long to end.
DRAIN_SECONDS = 10


@asynccontextmanager
async def open_engine(settings: Settings, url: str, resources: Resources = RESOURCES) -> AsyncIterator[Engine]:
    """Connect, and give what endpoints work with; what waits to be written is written before it closes."""
    pool = await connect(
        url,
        min_size=2,
        max_size=settings.api_pool_size,
        application_name="retailos api",
        statement_timeout_seconds=settings.statement_timeout_seconds,
    )
    hint = Hint(pool)
    queue = Queue(pool, resources, after_commit=hint.give)
    writer = Writer(pool, resources, after_commit=hint.give, let_pass=queue.let_pass)
    used = LastUsed(pool)
    limited, failing = settings.requests_per_second, settings.failures_per_minute
    try:
        await queue.open()
        yield Engine(
            pool=pool,
            resources=resources,
            reader=Reader(pool),
            writer=writer,
            queue=queue,
            keys=KeyRing(pool, settings.pepper_bytes, settings.environment, proved=used.note),
            settings=settings,
            hint=hint.give,
            requests=RequestRate(limited, settings.requests_burst) if limited else None,
            failures=FailureRate(failing) if failing else None,
            watch=Watch(pool),
            stream_slots=asyncio.Semaphore(settings.stream_limit),
        )
    finally:
        await queue.close()
        await used.close()
        await writer.close()
        await hint.close()
        await pool.close()


class Server(uvicorn.Server):
    """The web server, which lets those go who wait for changes before it waits for requests to end."""

    def __init__(self, engine: Engine, patience: Patience = PATIENCE) -> None:
        super().__init__(server_config(engine.settings, build_app(engine)))
        self._watch, self._patience = engine.watch, patience

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections at these sockets; uvicorn's own way to do so gives a handshake a minute."""
        loop, config = asyncio.get_running_loop(), self.config
        made = partial(EnvelopeProtocol, config, self.server_state, {}, patience=self._patience)
        handshake = self._patience.handshake if config.ssl else None
        self.servers = [
            await loop.create_server(
                made, sock=each, ssl=config.ssl, ssl_handshake_timeout=handshake, backlog=config.backlog
            )
            for each in sockets or ()
        ]
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, let what is under way end, and stop."""
        self._watch.close()
        await super().shutdown(sockets)


def build_app(engine: Engine) -> FrontDoor:
    """Put the routes together behind the front door."""
    operations = all_operations(engine)
    others: Iterable[BaseRoute] = (
        *health_routes(engine),
        *report_file_routes(engine),
        *document_routes(engine.resources, operations),
    )
    settings = engine.settings
    asks = settings.caller_networks or settings.trusted_proxies
    return FrontDoor(build_router(engine, operations, others), partial(admit, settings) if asks else None)


def all_operations(engine: Engine) -> tuple[Operation, ...]:
    """Every operation that is routed and documented."""
    return _operations_of(engine.resources)


@cache
def _operations_of(resources: Resources) -> tuple[Operation, ...]:
    return (*public_operations(resources), *admin_operations(resources))


async def run_api(settings: Settings, url: str, ready: Callable[[int], None], *, shared: bool) -> None:
    """Serve until SIGTERM or SIGINT, at a port that is ours alone or shared with others of ours.

    Calls `ready` with the port once connections are taken.
    """
    async with open_engine(settings, url) as engine:
        server = Server(engine)
        # Bound here, so that connections queue from now on and the port is known even where it was left open.
        listener = port.listen(settings.host, settings.port, shared=shared)
        ready(listener.getsockname()[1])
        await server.serve([listener])


def server_config(settings: Settings, app: FrontDoor) -> uvicorn.Config:
    """How the server runs: our protocol, our limits, and nothing that trusts what a stranger says of himself."""
    tls = Certificate(settings.tls_certificate, settings.tls_key) if settings.tls_certificate else None
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=EnvelopeProtocol,
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_context_factory=(lambda *_: tls.context) if tls else None,
        # Who a request comes from is decided by our own table, not by whoever sends X-Forwarded-For.
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        backlog=port.BACKLOG,
    )
