"""The documents and their pages, composed once when somebody first asks and served as they are."""

import asyncio
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from retailos import __version__
from retailos.api.call import Call, Operation
from retailos.api.envelope import encode
from retailos.api.openapi import document
from retailos.api.postman import collection, environment
from retailos.declare.resource import Resources
from retailos.errors import RouteNotFound

_STATIC = Path(__file__).parent / "static"
_KINDS = MappingProxyType(
    {
        ".css": b"text/css; charset=utf-8",
        ".js": b"text/javascript; charset=utf-8",
        ".svg": b"image/svg+xml",
        ".txt": b"text/plain; charset=utf-8",
    }
)
#: Long enough for a visit; afterwards the ETag tells whether anything has changed.
_STATIC_SECONDS = 3600
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
#: Swagger UI sets styles inline and draws its icons from data URLs; everything else comes from this server alone.
_OF_PAGES = f"{_NOTHING}; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="/v2/static/docs.svg" type="image/svg+xml">
<link rel="stylesheet" href="/v2/static/swagger-ui.css">
<link rel="stylesheet" href="/v2/static/docs.css">
</head>
<body>
<div id="docs" data-document="{document}"></div>
<noscript>This page needs JavaScript; the document itself is at <a href="{document}">{document}</a>.</noscript>
<script src="/v2/static/swagger-ui-bundle.js"></script>
<script src="/v2/static/docs.js"></script>
</body>
</html>
"""


def document_routes(resources: Resources, operations: Sequence[Operation]) -> Iterator[BaseRoute]:
    """Give the routes that serve the public and the admin document, and their pages, to anybody."""
    for part in ("public", "admin"):
        root, title = f"/v2/{part}", f"RetailOS {part} API"
        own = [each for each in operations if each.path.startswith(f"{root}/")]
        made = cache(partial(document, resources, own, title=title, server_version=__version__))
        page = _PAGE.format(title=title, document=f"{root}/openapi.json")
        yield _route(f"{root}/openapi.json", Composed(made))
        yield _route(f"{root}/postman.json", Composed(partial(_from, made, collection)))
        yield _route(f"{root}/postman-environment.json", Composed(partial(_from, made, environment)))
        yield _route(f"{root}/docs", Served(page.encode(), b"text/html; charset=utf-8", policy=_OF_PAGES))
    yield _route("/v2/static/{file}", Files(vendored()))


def vendored() -> dict[str, str]:
    """The files that are served, each with its SHA-256, as VENDORED.toml lists them."""
    packages = tomllib.loads((_STATIC / "VENDORED.toml").read_text(encoding="utf-8"))["package"]
    return {file: digest for package in packages for file, digest in package["files"].items()}


class Served:
    """Bytes that are served as they are: an ASGI application for GET and HEAD."""

    def __init__(self, body: bytes, kind: bytes, *, cache: str = "no-cache", policy: str = _NOTHING) -> None:
        self._body = body
        self._etag = f'"{sha256(body).hexdigest()[:32]}"'.encode()
        self._headers = [
            (b"content-type", kind),
            (b"etag", self._etag),
            (b"cache-control", cache.encode()),
            (b"content-security-policy", policy.encode()),
            (b"referrer-policy", b"no-referrer"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the bytes, or 304 to whoever has them."""
        call: Call = scope["retailos.call"]
        known = any(self._etag in each for each in call.headers(b"if-none-match"))
        headers = [*self._headers, *([] if known else [(b"content-length", b"%d" % len(self._body))])]
        await send({"type": "http.response.start", "status": 304 if known else 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if known or scope["method"] == "HEAD" else self._body})


class Composed:
    """JSON that is composed in a thread when somebody first asks: it would cost each start a third of a second."""

    def __init__(self, compose: Callable[[], Any]) -> None:
        self._compose = compose
        self._composing = asyncio.Lock()
        self._served: Served | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, once it is there."""
        async with self._composing:
            if self._served is None:
                self._served = Served(encode(await asyncio.to_thread(self._compose)), b"application/json")
        await self._served(scope, receive, send)


class Files:
    """The listed files of one directory, and no other."""

    def __init__(self, listed: Mapping[str, str]) -> None:
        cache = f"public, max-age={_STATIC_SECONDS}"
        self._files = {
            name: Served((_STATIC / name).read_bytes(), _KINDS[Path(name).suffix], cache=cache) for name in listed
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file that the path names; RouteNotFound if it is not listed."""
        file = self._files.get(scope["path_params"]["file"])
        if file is None:
            raise RouteNotFound
        await file(scope, receive, send)


def _from(made: Callable[[], Any], derive: Callable[[Any], Any]) -> Any:
    return derive(made())


def _route(path: str, application: Served | Composed | Files) -> Route:
    return Route(path, application, methods=["GET"])
