"""What a webhook sends with: its connections, and all that says that it is we who send."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import Final

from msgspec.structs import replace

from retailos.exchanges.addresses import Policy
from retailos.exchanges.exchange import ErrorClass, Reply, Request
from retailos.exchanges.transport import Transport
from retailos.exchanges.wire import failure
from retailos.sending.token import Token, Tokens
from retailos.webhooks.certificates import authorities, identity_pem
from retailos.webhooks.credentials import client_credentials, headers_of
from retailos.webhooks.signature import Signing, signed
from retailos.webhooks.webhook import Webhook

_UNAUTHORIZED: Final = 401


class LeaseOver(Exception):
    """While a token was waited for, what was to be sent has become somebody else's to send."""


class Sender:
    """Sends the requests of one webhook, with its credentials and signed where it asks for that."""

    def __init__(
        self,
        transport: Transport,
        headers: tuple[tuple[str, str], ...] = (),
        signing: Signing | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self._transport, self._headers, self._signing, self._tokens = transport, headers, signing, tokens

    async def send(self, request: Request, holds: Callable[[], bool] = lambda: True) -> Reply:
        """Make one request, as Transport.send(); where a token is needed and can't be had, nothing is sent.

        A token that the receiver refuses is fetched anew, once, and the request sent again with that. The request's
        timeout is for all of it. `holds` is asked before each sending, once there is a token: LeaseOver if it says no.
        """
        request = self._completed(request)
        if self._tokens is None:
            return await self._transport.send(request)
        started = monotonic()
        reply = await self._send_with(self._tokens, request, started + request.timeout_seconds, holds)
        return replace(reply, at=datetime.now(UTC), milliseconds=(monotonic() - started) * 1000)

    def close(self) -> None:
        """Forget the connections, as Transport.close()."""
        self._transport.close()
        if self._tokens is not None:
            self._tokens.close()

    def _completed(self, request: Request) -> Request:
        if self._signing is not None:
            request = signed(request, self._signing, datetime.now(UTC))
        return replace(request, headers=(*request.headers, *self._headers)) if self._headers else request

    async def _send_with(self, tokens: Tokens, request: Request, deadline: float, holds: Callable[[], bool]) -> Reply:
        token = await tokens.current(deadline)
        reply = await self._send_once(token, request, deadline, holds)
        if reply.status == _UNAUTHORIZED and isinstance(token, Token):
            reply = await self._send_once(await tokens.after(token, deadline), request, deadline, holds)
        return reply

    async def _send_once(
        self, token: Token | Reply, request: Request, deadline: float, holds: Callable[[], bool]
    ) -> Reply:
        if isinstance(token, Reply):
            return token
        if not holds():
            raise LeaseOver
        left = deadline - monotonic()
        if left <= 0:
            return failure(deadline, ErrorClass.TOKEN_ERROR, "the token came too late to send anything", sent=False)
        return await self._transport.send(
            replace(request, headers=(*request.headers, token.header), timeout_seconds=left)
        )


def sender(webhook: Webhook, policy: Policy) -> Sender:
    """What an opened webhook sends with; secrets are read here, once, and not for each request."""
    settings = webhook.settings
    client = client_credentials(settings["credentials"])
    # What the receiver asks of those who connect to it, it may ask before it gives tokens.
    reaching = partial(
        Transport,
        policy,
        connect_timeout_seconds=webhook.connect_timeout,
        identity_pem=identity_pem(settings),
        authorities=authorities(settings),
    )
    tokens = None if client is None else Tokens(client, reaching(), webhook.timeout)
    return Sender(
        reaching(concurrency=webhook.concurrency),
        headers=headers_of(settings["credentials"]),
        signing=Signing.of(settings["signing"]),
        tokens=tokens,
    )
