"""Routing: every segment of a path as it was sent, so that an external id with a slash is one segment still."""

import re
from collections import defaultdict
from collections.abc import Iterable
from urllib.parse import unquote

from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from retailos.api.access import authorise
from retailos.api.body import check_acceptable
from retailos.api.call import Call, Engine, Operation
from retailos.api.envelope import send_answer
from retailos.errors import BadRequest, RouteNotFound

_VARIABLE = re.compile(r"\{(\w+)\}")


class Operations:
    """The operations that share one path, told apart by method: an ASGI application for a route."""

    def __init__(self, engine: Engine, operations: Iterable[Operation]) -> None:
        self._engine = engine
        self._by_method = {each.method: each for each in operations}
        if "GET" in self._by_method:
            self._by_method["HEAD"] = self._by_method["GET"]

    @property
    def methods(self) -> list[str]:
        """The methods that the path takes."""
        return list(self._by_method)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Authorise the call, let the operation's endpoint answer it, and send the answer in the envelope."""
        call: Call = scope["retailos.call"]
        operation = self._by_method[scope["method"]]
        call.operation = operation
        check_acceptable(call)
        await authorise(self._engine.keys, call, operation)
        names = _VARIABLE.findall(operation.path)
        call.path = {name: _decoded(text) for name, text in zip(names, scope["path_params"].values(), strict=True)}
        await send_answer(send, call, await operation.endpoint(self._engine, call))


def build_router(engine: Engine, operations: Iterable[Operation], others: Iterable[BaseRoute]) -> Router:
    """Route every operation, a mount for each collection so that a path is compared with few patterns."""
    collections: defaultdict[str, defaultdict[str, list[Operation]]] = defaultdict(lambda: defaultdict(list))
    for operation in operations:
        root = "/".join(operation.path.split("/")[:4])
        collections[root][_shape(operation.path.removeprefix(root))].append(operation)
    mounts: list[BaseRoute] = []
    for root, paths in collections.items():
        if "" in paths:
            mounts.append(_route(engine, root, paths.pop("")))
        mounts.append(Mount(root, routes=[_route(engine, path, each) for path, each in paths.items()]))
    return Router([*others, *mounts], redirect_slashes=False, default=_no_route)


def _shape(path: str) -> str:
    """A path without its operations' own names for the variables: one route for both, so that it knows all methods."""
    parts = _VARIABLE.split(path)
    return "".join(f"{{v{i}}}" if i % 2 else part for i, part in enumerate(parts))


def _route(engine: Engine, path: str, operations: Iterable[Operation]) -> Route:
    answering = Operations(engine, operations)
    return Route(path, answering, methods=answering.methods)


async def _no_route(scope: Scope, receive: Receive, send: Send) -> None:
    raise RouteNotFound


def _decoded(segment: str) -> str:
    """Decode one segment; it is UTF-8, or nothing we can keep."""
    try:
        return unquote(segment, encoding="utf-8", errors="strict")
    except UnicodeDecodeError:
        raise BadRequest("expected percent-encoded UTF-8 in the path") from None
