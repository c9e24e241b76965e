"""Whether the process lives and whether it can serve: for load balancers, service managers and the demo."""

from collections.abc import Iterator

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from retailos.api.call import Answer, Engine
from retailos.api.envelope import encode, send_answer
from retailos.database.pool import acquire


def health_routes(engine: Engine) -> Iterator[BaseRoute]:
    """`/health/live`: the process answers. `/health/ready`: the database answers too, or it is a 503."""

    async def live(scope: Scope, receive: Receive, send: Send) -> None:
        await send_answer(send, scope["retailos.call"], Answer(encode({"status": "live"})))

    async def ready(scope: Scope, receive: Receive, send: Send) -> None:
        async with acquire(engine.pool, timeout_seconds=1) as connection:
            await connection.execute("select 1")
        await send_answer(send, scope["retailos.call"], Answer(encode({"status": "ready"})))

    yield Route("/health/live", _Application(live), methods=["GET"])
    yield Route("/health/ready", _Application(ready), methods=["GET"])


class _Application:
    """A function as an ASGI application; Starlette takes a plain function for one that wants a Request."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope, receive, send)  # type: ignore[operator]
