"""The API process: a pool, a writer and a server, put together, run until it is told to stop, and taken apart."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import uvicorn
from starlette.routing import BaseRoute

from retailos.api.admin import admin_operations
from retailos.api.call import Engine, Operation
from retailos.api.documents import document_routes
from retailos.api.health import health_routes
from retailos.api.middleware import FrontDoor
from retailos.api.protocol import EnvelopeProtocol
from retailos.api.router import build_router
from retailos.api.routes import public_operations
from retailos.database.pool import connect
from retailos.declare.resource import Resources
from retailos.keys import KeyRing
from retailos.records.watch import Watch
from retailos.records.writer import Writer
from retailos.resources import RESOURCES
from retailos.settings import Settings
from retailos.webhooks.hint import Hint

#: A connection on which nothing is asked for so long is closed.
IDLE_SECONDS = 15
#: Requests that are under way when the process is told to stop have so long to end.
DRAIN_SECONDS = 10
#: Connections that may wait to be taken, while the process is busy or has only just begun.
BACKLOG = 2048


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
    writer = Writer(pool, resources, after_commit=hint.give)
    pepper = settings.pepper.encode() if settings.pepper else None
    try:
        yield Engine(
            pool=pool,
            resources=resources,
            writer=writer,
            keys=KeyRing(pool, pepper),
            settings=settings,
            hint=hint.give,
            watch=Watch(pool),
            stream_slots=asyncio.Semaphore(settings.stream_limit),
        )
    finally:
        await writer.close()
        await hint.close()
        await pool.close()


class Server(uvicorn.Server):
    """The web server, which lets those go who wait for changes before it waits for requests to end."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(server_config(engine.settings, build_app(engine)))
        self._watch = engine.watch

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, let what is under way end, and stop."""
        self._watch.close()
        await super().shutdown(sockets)


def build_app(engine: Engine) -> FrontDoor:
    """Put the routes together behind the front door."""
    operations = all_operations(engine)
    others: Iterable[BaseRoute] = (*health_routes(engine), *document_routes(engine.resources, operations))
    return FrontDoor(build_router(engine, operations, others))


def all_operations(engine: Engine) -> tuple[Operation, ...]:
    """Every operation that is routed and documented."""
    return (*public_operations(engine.resources), *admin_operations(engine.resources))


async def run_api(settings: Settings, url: str, ready: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT; call `ready` with the port once connections are taken."""
    async with open_engine(settings, url) as engine:
        server = Server(engine)
        # Bound here, so that connections queue from now on and the port is known even where it was left open.
        listener = server.config.bind_socket()
        listener.listen(BACKLOG)
        ready(listener.getsockname()[1])
        await server.serve([listener])


def server_config(settings: Settings, app: FrontDoor) -> uvicorn.Config:
    """How the server runs: our protocol, our limits, and nothing that trusts what a stranger says of himself."""
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
        # Who a request comes from is decided by our own table, not by whoever sends X-Forwarded-For.
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        backlog=BACKLOG,
    )
