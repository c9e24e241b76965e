"""Routing: every segment of a path as it was sent, so that an external id with a slash is one segment still."""

import re
from collections import defaultdict
from collections.abc import Iterable
from difflib import get_close_matches
from urllib.parse import unquote

from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from retailos.api.access import authorise
from retailos.api.body import check_acceptable
from retailos.api.call import Answer, Call, Engine, Operation
from retailos.api.envelope import send_answer
from retailos.api.events import send_stream
from retailos.api.wishes import refuse_unheeded, unheeded
from retailos.errors import BadRequest, RouteNotFound

_VARIABLE = re.compile(r"\{(\w+)\}")
#: What paths with a variable end with, whatever their operations call it: one route for all, which knows all methods.
_LAST = "/{value}"


class Operations:
    """The operations that share one path, told apart by method: an ASGI application for a route."""

    def __init__(self, engine: Engine, operations: Iterable[Operation]) -> None:
        self._engine = engine
        self._by_method = {each.method: (each, _VARIABLE.findall(each.path), unheeded(each)) for each in operations}
        if "GET" in self._by_method:
            self._by_method["HEAD"] = self._by_method["GET"]

    @property
    def methods(self) -> list[str]:
        """The methods that the path takes."""
        return list(self._by_method)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Authorise the call, let the operation's endpoint answer it, and send the answer in the envelope."""
        call: Call = scope["retailos.call"]
        operation, names, meaningless = self._by_method[scope["method"]]
        call.operation = operation
        check_acceptable(call, operation.gives)
        await authorise(self._engine, call, operation)
        if meaningless:
            refuse_unheeded(call, meaningless)
        call.path = {name: _decoded(text) for name, text in zip(names, scope["path_params"].values(), strict=True)}
        answer = await operation.endpoint(self._engine, call)
        if isinstance(answer, Answer):
            await send_answer(send, call, answer)
        else:
            await send_stream(scope, receive, send, answer)


class Table(Router):
    """Starlette's router, which tries one pattern after the other, behind a table that spares it nearly everything."""

    def __init__(self, operations: Iterable[Route], others: Iterable[BaseRoute]) -> None:
        by_path = {each.path: each for each in operations}
        super().__init__([*others, *by_path.values()], redirect_slashes=False, default=self._no_route)
        self._nouns = sorted({_noun(path) for path in by_path} - {""})
        self._by_start = {path.removesuffix(_LAST): each for path, each in by_path.items() if path.endswith(_LAST)}
        self._fixed = {path: each for path, each in by_path.items() if "{" not in path}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request by the route of its path; what the table does not know, Starlette may."""
        start, _, last = scope["path"].rpartition("/")
        route, values = self._fixed.get(scope["path"]), {}
        if route is None and last:
            route, values = self._by_start.get(start), {"value": last}
        if route and scope["method"] in (route.methods or ()):
            scope["path_params"] = values
            await route.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _no_route(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say that there is none, and where the path begins nearly as others do, how these begin."""
        noun = _noun(scope["path"])
        close = get_close_matches(noun[:100], self._nouns, n=1, cutoff=0.85) if noun not in self._nouns else ()
        raise RouteNotFound(f"{RouteNotFound()} Did you mean {close[0]}?" if close else None)


def _noun(path: str) -> str:
    """What a path begins with, as /v2/public/customers; "" where it is shorter than that."""
    start = path.split("/", 4)[:4]
    return "/".join(start) if len(start) == 4 and "{" not in start[3] else ""


def build_router(engine: Engine, operations: Iterable[Operation], others: Iterable[BaseRoute]) -> Router:
    """Route every operation, and whatever else there is."""
    shared: defaultdict[str, list[Operation]] = defaultdict(list)
    for each in operations:
        shared[_unnamed(each.path)].append(each)
    return Table([_route(engine, path, each) for path, each in shared.items()], others)


def _unnamed(path: str) -> str:
    """Give a path whose variables have no names of their own, so that operations of one path share a route."""
    first = _VARIABLE.sub("{value}", path, count=1)
    return _VARIABLE.sub(lambda found: "{value}" if found[1] == "value" else "{another}", first)


def _route(engine: Engine, path: str, operations: Iterable[Operation]) -> Route:
    answering = Operations(engine, operations)
    return Route(path, answering, methods=answering.methods)


def _decoded(segment: str) -> str:
    """Decode one segment; it is UTF-8, or nothing we can keep."""
    try:
        return unquote(segment, encoding="utf-8", errors="strict")
    except UnicodeDecodeError:
        raise BadRequest("expected percent-encoded UTF-8 in the path") from None
