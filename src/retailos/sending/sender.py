"""What a webhook sends with: its connections, and all that says that it is we who send."""

from datetime import UTC, datetime
from functools import partial
from typing import Final

from msgspec.structs import replace

from retailos.exchanges.addresses import Policy
from retailos.exchanges.exchange import Reply, Request
from retailos.exchanges.transport import Transport
from retailos.sending.token import Token, Tokens
from retailos.webhooks.certificates import authorities, identity_pem
from retailos.webhooks.credentials import client_credentials, headers_of
from retailos.webhooks.signature import Signing, signed
from retailos.webhooks.webhook import Webhook

_UNAUTHORIZED: Final = 401


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

    async def send(self, request: Request) -> Reply:
        """Make one request, as Transport.send(); where a token is needed and can't be had, nothing is sent.

        A token that the receiver refuses is fetched anew, once, and the request sent again with that.
        """
        request = self._completed(request)
        if self._tokens is None:
            return await self._transport.send(request)
        token = await self._tokens.current()
        reply = await self._send_with(token, request)
        if reply.status == _UNAUTHORIZED and isinstance(token, Token):
            reply = await self._send_with(await self._tokens.after(token), request)
        return reply

    def close(self) -> None:
        """Forget the connections, as Transport.close()."""
        self._transport.close()
        if self._tokens is not None:
            self._tokens.close()

    def _completed(self, request: Request) -> Request:
        if self._signing is not None:
            request = signed(request, self._signing, datetime.now(UTC))
        return replace(request, headers=(*request.headers, *self._headers)) if self._headers else request

    async def _send_with(self, token: Token | Reply, request: Request) -> Reply:
        if isinstance(token, Reply):
            return token
        return await self._transport.send(replace(request, headers=(*request.headers, token.header)))


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
