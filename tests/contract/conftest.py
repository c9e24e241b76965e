"""A running API for contract tests: the real application behind the real server, and a client that sends what it is told."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import uvicorn

from retailos import keys
from retailos.api.call import Engine
from retailos.api.server import build_app, open_engine, server_config
from retailos.settings import Settings, load


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: the headers' names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)

    @property
    def result(self) -> Any:
        """The envelope's result."""
        return self.json["result"]

    @property
    def error(self) -> Any:
        """The envelope's error."""
        return self.json["error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The API at a free port, a key for records and a key for everything."""

    engine: Engine
    port: int
    key: str
    admin_key: str

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Response:
        """Send a request with the key for records (`key` names another, "" none); the path goes out as it is."""
        content = body if body is not None else b"" if json is None else msgspec.json.encode(json)
        given = {"Host": "127.0.0.1", "Connection": "close"}
        if key != "":
            given["Authorization"] = f"API_KEY {key or self.key}"
        if content or method in ("PUT", "POST", "PATCH"):
            given |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
        given |= headers or {}
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        return read(await self.raw(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + content), method)

    async def admin(self, method: str, path: str, **more: Any) -> Response:
        """Send a request with the key for everything."""
        return await self.request(method, f"/v2/admin{path}", key=self.admin_key, **more)

    async def get(self, path: str, **more: Any) -> Response:
        """GET a path below /v2/public."""
        return await self.request("GET", f"/v2/public{path}", **more)

    async def put(self, path: str, json: Any, **more: Any) -> Response:
        """PUT a body to a path below /v2/public."""
        return await self.request("PUT", f"/v2/public{path}", json=json, **more)

    async def post(self, path: str, json: Any, **more: Any) -> Response:
        """POST a body to a path below /v2/public."""
        return await self.request("POST", f"/v2/public{path}", json=json, **more)

    async def raw(self, sent: bytes, *, close: bool = False, within_seconds: float = 10.0) -> bytes:
        """Send bytes, half-close if told to, and give all that comes back until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(sent)
            if close:
                writer.write_eof()
            async with asyncio.timeout(within_seconds):
                return await reader.read(-1)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


def read(raw: bytes, method: str = "GET") -> Response:
    """Read one HTTP response; an interim 100 before it is passed over."""
    head, _, body = raw.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100"):
        return read(body, method)
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return Response(int(first.split(" ")[1]), {name.lower(): value for name, value in pairs}, body)


@asynccontextmanager
async def serving(settings: Settings, database: str) -> AsyncIterator[Api]:
    """Run the API on a free port until the block ends."""
    async with open_engine(settings, database) as engine:
        made = await keys.create(
            engine.pool, name="records", environment="test", scopes=keys.DEFAULT_SCOPES, pepper=None
        )
        admin = await keys.create(
            engine.pool, name="all", environment="test", scopes=(*keys.DEFAULT_SCOPES, keys.ADMIN), pepper=None
        )
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(server_config(settings, build_app(engine)))
        task = asyncio.create_task(server._serve([listener]))
        try:
            yield Api(engine=engine, port=listener.getsockname()[1], key=made.key, admin_key=admin.key)
        finally:
            server.should_exit = True
            await task


@pytest.fixture
def settings() -> Settings:
    """Settings that let webhooks reach this machine."""
    return load({}, allow_addresses="127.0.0.0/8", host="127.0.0.1", environment="test")


@pytest.fixture
async def api(settings: Settings, database: str) -> AsyncIterator[Api]:
    """The API on an empty database of this test's own."""
    async with serving(settings, database) as running:
        yield running
