"""One request on its way through the API, and the answer to it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import msgspec
from starlette.types import Receive, Scope

from retailos.api.limits import FailureRate, RequestRate
from retailos.database.pool import Pool
from retailos.declare.resource import Resource, Resources
from retailos.exchanges.networks import IPAddress
from retailos.jobs.queue import Queue
from retailos.keys import Key, KeyRing
from retailos.records.reader import Reader
from retailos.records.watch import Watch
from retailos.records.writer import Writer
from retailos.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What endpoints work with."""

    pool: Pool
    resources: Resources
    reader: Reader
    writer: Writer
    queue: Queue
    keys: KeyRing
    settings: Settings
    #: Tells workers, after a commit, that something is due.
    hint: Callable[[], None]
    #: Tells those who wait for changes that there are some.
    watch: Watch
    #: Taken by each stream of changes for as long as it is open.
    stream_slots: asyncio.Semaphore
    #: What each key may ask for, and how often a caller may fail; None: without limit.
    requests: RequestRate | None = None
    failures: FailureRate | None = None


_NO_VALUES: Final[Sequence[bytes]] = ()


@dataclass(slots=True, kw_only=True)
class Call:
    """A request: who asks for what, and which operation answers."""

    scope: Scope
    receive: Receive
    request_id: UUID
    #: ISO 8601, as it is printed in the header and in meta.
    at: str
    operation: "Operation | None" = None
    key: Key | None = None
    #: Where it comes from, where that is more than its TCP peer.
    origin: IPAddress | None = None
    #: The headers that tell what is left of the key's requests, where they are limited.
    rate: tuple[tuple[bytes, bytes], ...] = ()
    #: The status that it was answered with, as soon as that is on its way.
    status: int = 0
    #: The variables of the route, decoded.
    path: Mapping[str, str] = field(default_factory=dict)
    #: The request's id as it is printed.
    name: str = field(init=False)
    _headers: dict[bytes, list[bytes]] | None = None

    def __post_init__(self) -> None:
        self.name = str(self.request_id)

    @property
    def api_key_id(self) -> str | None:
        """The id of the key that the call came with."""
        return self.key.id if self.key else None

    def headers(self, name: bytes) -> Sequence[bytes]:
        """Give every value of a header; `name` in lower case."""
        if self._headers is None:
            self._headers = {}
            for key, value in self.scope["headers"]:
                self._headers.setdefault(key, []).append(value)
        return self._headers.get(name, _NO_VALUES)

    @property
    def query(self) -> bytes:
        """The query string as it was sent."""
        return bytes(self.scope["query_string"])


class Answer(msgspec.Struct, frozen=True):
    """What goes into the envelope: a status, the result as JSON bytes, and headers of its own."""

    result: bytes
    status: int = 200
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What goes out piece by piece and without the envelope, until there is no more or nobody reads it."""

    media_type: str
    chunks: AsyncGenerator[bytes, None]
    #: What a file is called by whoever keeps it; "": it is none.
    name: str = ""
    #: Called once nothing more is sent.
    ended: Callable[[], None] = lambda: None


Endpoint = Callable[[Engine, Call], Awaitable[Answer | Stream]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """Another success of an operation: when it is answered, and the schema of its result; "": it has no body."""

    status: int
    when: str
    result: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """One line of the route table: a method and a path, who may call it, what answers, and how it is documented."""

    method: str
    #: As in OpenAPI: `/v2/public/customers/{externalId}`.
    path: str
    endpoint: Endpoint
    #: `CUSTOMER_GET_ALL`, the envelope's action.
    action: str
    #: `Customers`, the envelope's userMessage on success.
    user_message: str
    #: What a key must allow: `customer:read`, `admin:*`; or, where the endpoint alone can tell which resource it is
    #: about, ANY_WRITE or ANY_VERB.
    scope: str
    summary: str
    #: The record kind that it is about; None for the administration.
    resource: Resource | None = None
    #: The names of the schemas of what is accepted and of the envelope's result; "": the result is null.
    body: str | None = None
    result: str = ""
    #: The status of success, then those of its own errors; what every route can answer is documented anyway.
    statuses: tuple[int, ...] = (200,)
    #: What it answers instead of its success, where the caller asks for that.
    also: tuple[Further, ...] = ()
    #: The names of its parameters, as parameters.py documents them: `list`, `fields`, `expand`, `deliveries`.
    parameters: tuple[str, ...] = ()
    #: The media types of what it takes in place of JSON, and of what it gives besides it (without a result: instead).
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
