"""A running API for contract tests: the real application and server, and a client that sends what it is told."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

import msgspec
import pytest

from retailos import keys
from retailos.api.call import Engine
from retailos.api.protocol import PATIENCE, Patience
from retailos.api.server import Server, open_engine
from retailos.database.embedded import Cluster
from retailos.database.pool import Connection
from retailos.declare.field import Field
from retailos.declare.resource import Resource, Resources
from retailos.declare.rules import Later
from retailos.declare.sample import sample
from retailos.declare.values import moment, printed
from retailos.resources import RESOURCES
from retailos.secrets import new_key
from retailos.settings import Settings, load
from tests.conftest import PATIENCE_SECONDS, with_database

#: The guide's long envelope, in its order.
ENVELOPE = ("statusCode", "statusMessage", "userMessage", "error", "meta", "action", "result")
EACH_RESOURCE = pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)
#: Those that are referred to before those that refer.
ORDER = (
    *("territory", "client", "region", "store", "department", "user", "customer"),
    *("category", "product", "variant", "price", "stockLevel"),
    *("promotion", "basket", "order", "wishlist"),
    *("appointment", "customerNote", "interaction", "task"),
    *("loyaltyAccount", "consentEvent", "customerAssignment"),
)
#: What is done for every resource by the same code is seen with those that use each word of their declarations.
VARIED = ("customer", "user", "client", "region", "price", "stockLevel", "order")
VARIED_RESOURCES = pytest.mark.parametrize("resource", [RESOURCES[name] for name in VARIED], ids=VARIED)
#: As the guide prints moments.
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


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
    #: The URL of its database.
    database: str
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

    async def raw(self, sent: bytes, *, close: bool = False, within_seconds: float = PATIENCE_SECONDS) -> bytes:
        """Send bytes, half-close if told to, and give all that comes back until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        came = bytearray()
        try:
            writer.write(sent)
            if close:
                writer.write_eof()
            async with asyncio.timeout(within_seconds):
                # A server that refuses a request before its end resets the connection behind its answer.
                with suppress(ConnectionResetError, BrokenPipeError):
                    while chunk := await reader.read(65536):
                        came += chunk
            return bytes(came)
        finally:
            writer.close()

    async def stored(self) -> dict[str, int]:
        """How many rows each table has, the partitions of a day with their table."""
        async with self.engine.pool.acquire() as connection:
            names = await connection.fetch(
                "select relname from pg_class where relkind in ('r', 'p') and not relispartition"
                " and relnamespace = 'public'::regnamespace order by relname"
            )
            counts = " union all ".join(f"select '{each[0]}', count(*) from {each[0]}" for each in names)
            return {row[0]: row[1] for row in await connection.fetch(counts)}


def read(raw: bytes, method: str = "GET") -> Response:
    """Read one HTTP response; an interim 100 before it is passed over."""
    head, _, body = raw.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100"):
        return read(body, method)
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return Response(int(first.split(" ")[1]), {name.lower(): value for name, value in pairs}, body)


def check_envelope(response: Response, status: int | None = None) -> Any:
    """See that an answer has the one shape of all answers, headers included; give the envelope."""
    assert status in (None, response.status), response.body[:500]
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    envelope = response.json
    assert tuple(envelope) == ENVELOPE
    assert envelope["statusCode"] == response.status
    assert tuple(envelope["meta"]) == ("requestId", "requestTimestamp")
    assert response.headers["x-ra-request-id"] == envelope["meta"]["requestId"]
    assert response.headers["x-ra-request-timestamp"] == envelope["meta"]["requestTimestamp"]
    assert TIMESTAMP.fullmatch(envelope["meta"]["requestTimestamp"])
    assert response.headers["x-ra-server-version"]
    assert response.headers["access-control-allow-origin"] == "*"
    if response.status < 400:
        assert envelope["error"] is None
    else:
        assert envelope["result"] is None
        assert tuple(envelope["error"]) == ("code", "message", "details")
        assert isinstance(envelope["error"]["details"], dict)
        assert envelope["userMessage"] == envelope["error"]["message"]
    return envelope


def codes(response: Response) -> list[tuple[str, str]]:
    """The problems of a refusal: where, and which rule."""
    return [(each["path"], each["code"]) for each in response.error["details"]["errors"]]


def least(resource: Resource, number: int) -> dict[str, Any]:
    """The least body that makes a record: what is required of the resource, and no more; `ground` makes the rest."""
    body = {
        name: resource.fields[name].kind.sample(Random(number))
        for name in (*resource.required, *resource.requires_one_of[:1])
    }
    for rule in resource.rules:
        if isinstance(rule, Later) and rule.field in body:
            body[rule.field] = printed(moment(body[rule.than]) + timedelta(hours=1))
    body |= {name: f"{body[name]}-{number}" for name in resource.unique if name in body}
    if resource.plausible:
        resource.plausible(body)
    return body | required(resource, number)


def holds(shown: Any, sent: Any) -> bool:
    """Whether what is shown is what was sent: alike, or, within arrays of objects, that and more."""
    if isinstance(sent, dict) and isinstance(shown, dict):
        return all(holds(shown.get(name), value) for name, value in sent.items())
    if isinstance(sent, list) and isinstance(shown, list):
        return len(sent) == len(shown) and all(map(holds, shown, sent))
    return bool(shown == sent)


def full(resource: Resource, number: int, known: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """A whole sample body, with references to `known` external ids, or else to what `ground` makes."""
    return required(resource, number) | sample(RESOURCES, resource, Random(number), number, known or {})


def required(resource: Resource, number: int) -> dict[str, Any]:
    """The references that a record with this number must have, to records of its own."""
    return {
        each.name: {RESOURCES[each.to].external_id.name: f"ground-{number}"}
        for each in resource.references
        if each.required
    }


async def ground(api: Api, resource: Resource, *numbers: int) -> None:
    """Make the records that those with these numbers must refer to, and what they stand on in turn."""
    for target in dict.fromkeys(RESOURCES[each.to] for each in resource.references if each.required):
        await ground(api, target, *numbers)
        for number in numbers:
            put = await api.put(f"/{target.collection}/ground-{number}", least(target, number))
            assert put.status == 200, put.body


def own_names(resource: Resource) -> list[str]:
    """The names that a record is shown with when nothing is expanded, in the entity's order."""
    return [each.name for each in resource.shown if isinstance(each, Field)]


@asynccontextmanager
async def serving(
    settings: Settings, database: str, resources: Resources = RESOURCES, *, patience: Patience = PATIENCE
) -> AsyncIterator[Api]:
    """Run the API on a free port until the block ends."""
    async with open_engine(settings, database, resources) as engine:
        made = await keys.create(
            engine.pool, name="records", environment="test", scopes=keys.DEFAULT_SCOPES, pepper=None
        )
        admin = await keys.create(
            engine.pool,
            name="all",
            environment="test",
            scopes=(*keys.DEFAULT_SCOPES, keys.REQUEUE, keys.ADMIN),
            pepper=None,
        )
        listener = socket.create_server(("127.0.0.1", 0))
        server = Server(engine, patience)
        task = asyncio.create_task(server._serve([listener]))
        try:
            port = listener.getsockname()[1]
            yield Api(engine=engine, database=database, port=port, key=made.key, admin_key=admin.key)
        finally:
            server.should_exit = True
            await task


@pytest.fixture(scope="session")
def settings() -> Settings:
    """Settings that let webhooks reach this machine, and tests ask and fail as often as they like."""
    return load(
        {},
        encryption_keys=new_key(),
        allow_addresses="127.0.0.0/8",
        host="127.0.0.1",
        environment="test",
        requests_per_second=1_000_000,
        requests_burst=1_000_000,
        failures_per_minute=0,
    )


@pytest.fixture(scope="module")
async def shop(
    settings: Settings, server: Cluster, administrator: Connection, template: str, numbers: Iterator[int]
) -> AsyncIterator[Api]:
    """The API on one database that the tests of a module share, each with ids of its own."""
    name = f"shop_{next(numbers)}"
    await administrator.execute(f"create database {name} template {template} strategy wal_log")
    try:
        async with serving(settings, with_database(server.url, name)) as running:
            yield running
    finally:
        await administrator.execute(f"drop database {name} with (force)")


@pytest.fixture
async def number(shop: Api, numbers: Iterator[int], request: pytest.FixtureRequest) -> int:
    """A number for external ids and unique values, the first of ten that no other test uses; what it needs is there."""
    number = next(numbers)
    resource = getattr(request.node, "callspec", None) and request.node.callspec.params.get("resource")
    if resource:
        await ground(shop, resource, number)
    return number


@pytest.fixture
async def api(settings: Settings, database: str) -> AsyncIterator[Api]:
    """The API on an empty database of this test's own."""
    async with serving(settings, database) as running:
        yield running
