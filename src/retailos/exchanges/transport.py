"""The only outbound HTTP: one request to a vetted, pinned address, and a reply whatever the other side does."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Final

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.http import Url

from retailos.exchanges.addresses import Policy, Refused, Resolve, resolve, vet
from retailos.exchanges.exchange import ErrorClass, Reply, Request
from retailos.exchanges.networks import IPAddress
from retailos.exchanges.wire import Room, exchange, failure

CONNECT_TIMEOUT_SECONDS: Final = 5.0
#: How long a host's addresses are taken for granted, and how long a refusal is.
ADDRESSES_SECONDS: Final = 60.0
REFUSAL_SECONDS: Final = 1.0
#: Below the 5 s after which Node, and so the guide's own Express receiver, closes an idle connection: a request sent
#: into that close is answered by a reset, and nobody knows whether it was applied.
IDLE_SECONDS: Final = 4.0
_USER_AGENT: Final = "RetailOS"


@dataclass(frozen=True, slots=True)
class _Pinned:
    """A client that can reach one host at one vetted address; further addresses stand behind the first."""

    origin: str
    host: str
    addresses: tuple[IPAddress, ...]
    client: Client


class Transport:
    """The connections of one webhook.

    Addresses are vetted before the first request and again when they are a minute old, and connections go to the
    vetted ones only, so that a name that changes its mind in between gains nothing. No redirects, proxies, cookies,
    decompression or HTTP/2.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        concurrency: int = 16,
        connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
        addresses_seconds: float = ADDRESSES_SECONDS,
        identity_pem: bytes | None = None,
        authorities: Sequence[bytes] = (),
        resolve: Resolve = resolve,
    ) -> None:
        """`identity_pem` is a client certificate and its key for mTLS, `authorities` are trusted besides the usual."""
        self._policy = policy
        self._concurrency, self._room = concurrency, Room.of(concurrency)
        self._connect_timeout = timedelta(seconds=connect_timeout_seconds)
        self._addresses_seconds = addresses_seconds
        self._identity_pem = identity_pem
        self._authorities = tuple(authorities)
        self._resolve = resolve
        self._vetting = asyncio.Lock()
        self._pinned: _Pinned | Refused | None = None
        self._clients: dict[IPAddress, Client] = {}
        self._origin = ""
        self._fresh_until = 0.0

    async def send(self, request: Request) -> Reply:
        """Make one request; whatever comes of it on the other side is a Reply, nothing is raised but cancellation.

        The timeout covers everything. A host with several addresses is tried at the next one when no connection to
        the first comes about, as long as the time lasts. Cancelling ends the waiting, not the exchange: what was
        cancelled may still arrive until its timeout has passed.
        """
        started = monotonic()
        deadline = started + request.timeout_seconds
        try:
            url = Url(request.url)
        except ValueError as error:
            return failure(started, ErrorClass.INVALID_REQUEST, f"the URL can't be read: {error}", sent=False)
        try:
            pinned = await self._pin(url, deadline)
        except TimeoutError:
            return failure(started, ErrorClass.TIMEOUT, "the host's addresses were not known in time", sent=False)
        if isinstance(pinned, Refused):
            return failure(started, pinned.error_class, pinned.reason, sent=False)
        reply = await exchange(pinned.client, request, url, started, deadline, self._room)
        for _ in pinned.addresses[1:]:
            if reply.sent or reply.error is ErrorClass.INVALID_REQUEST or monotonic() >= deadline:
                break
            pinned = self._turn(pinned)
            reply = await exchange(pinned.client, request, url, started, deadline, self._room)
        return reply

    def close(self) -> None:
        """Forget the connections: idle ones close at once, one in use when its exchange has ended."""
        self._pinned = None
        self._clients = {}

    async def _pin(self, url: Url, deadline: float) -> _Pinned | Refused:
        """The client for a URL's host, vetted recently; TimeoutError if the deadline passes meanwhile."""
        origin = url.origin_ascii
        if self._pinned and self._origin == origin and monotonic() < self._fresh_until:
            return self._pinned
        async with asyncio.timeout(deadline - monotonic()), self._vetting:
            if self._pinned is None or self._origin != origin or monotonic() >= self._fresh_until:
                pinned = await self._vet(url)
                refused = isinstance(pinned, Refused)
                self._fresh_until = monotonic() + (REFUSAL_SECONDS if refused else self._addresses_seconds)
                self._pinned, self._origin = pinned, origin
            return self._pinned

    async def _vet(self, url: Url) -> _Pinned | Refused:
        host, port = url.host_str or "", url.port_or_known_default or 0
        if url.scheme not in ("https", "http"):
            return Refused(error_class=ErrorClass.INVALID_REQUEST, reason="expected a URL of the scheme https or http")
        vetted = await vet(host, port, self._policy, scheme=url.scheme, resolve=self._resolve)
        if isinstance(vetted, Refused):
            self._clients = {}
            return vetted
        addresses, origin = vetted.addresses, url.origin_ascii
        kept = self._clients if origin == self._origin else {}
        self._clients = {address: kept[address] for address in addresses if address in kept}
        if isinstance(self._pinned, _Pinned) and self._pinned.addresses[0] in self._clients:
            # A resolver turns its list round with every answer; the connections that are open are not worth less.
            addresses = _beginning_with(self._pinned.addresses[0], addresses)
        try:
            return _Pinned(origin, host, addresses, self._client(host, addresses[0]))
        except ValueError:
            reason = "the webhook's client certificate, its key or its CA can't be read"
            return Refused(error_class=ErrorClass.TLS_ERROR, reason=reason)

    def _turn(self, pinned: _Pinned) -> _Pinned:
        """Go on to the next address, for this and the following requests; unless another request has done so."""
        if self._pinned is not pinned:
            return self._pinned if isinstance(self._pinned, _Pinned) else pinned
        addresses = _beginning_with(pinned.addresses[1], pinned.addresses)
        self._pinned = _Pinned(pinned.origin, pinned.host, addresses, self._client(pinned.host, addresses[0]))
        return self._pinned

    def _client(self, host: str, address: IPAddress) -> Client:
        if address not in self._clients:
            self._clients[address] = self._build(host, address)
        return self._clients[address]

    def _build(self, host: str, address: IPAddress) -> Client:
        builder = (
            ClientBuilder()
            .http1_only()
            .no_proxy()
            .follow_redirects(False)
            .referer(False)
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .user_agent(_USER_AGENT)
            .connect_timeout(self._connect_timeout)
            .max_connections(self._concurrency)
            .pool_max_idle_per_host(self._concurrency)
            .pool_idle_timeout(timedelta(seconds=IDLE_SECONDS))
            .resolve(host, str(address), 0)
        )
        if self._identity_pem:
            builder = builder.identity_pem(self._identity_pem)
        for authority in self._authorities:
            builder = builder.add_root_certificate_pem(authority)
        return builder.build()


def _beginning_with(first: IPAddress, addresses: tuple[IPAddress, ...]) -> tuple[IPAddress, ...]:
    at = addresses.index(first)
    return (*addresses[at:], *addresses[:at])
