"""Access tokens of a webhook (OAuth 2 client credentials): fetched once for all requests, kept until they end."""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Final

import msgspec
from msgspec.structs import replace

from retailos.exchanges.exchange import ErrorClass, Reply, Request
from retailos.exchanges.transport import Transport
from retailos.exchanges.wire import failure
from retailos.webhooks.credentials import ClientCredentials

#: A token that does not say how long it lives is asked for again so often.
LIFE_SECONDS: Final = 300.0
#: So long before its end, or at half of a shorter life, a token counts as ended: it has to arrive and be looked at.
MARGIN_SECONDS: Final = 60.0
#: A token host that gives none is asked again so much later at the soonest, however many requests wait.
REFUSAL_SECONDS: Final = 1.0
_TOKEN_MOST: Final = 16_000


class _Answer(msgspec.Struct, frozen=True):
    """What a token host says (RFC 6749, section 5.1)."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the only type that there is
    expires_in: float | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """What opens the receiver."""

    text: str

    @property
    def header(self) -> tuple[str, str]:
        """The header that carries it."""
        return ("Authorization", f"Bearer {self.text}")


class Tokens:
    """The token of one webhook in this process."""

    def __init__(self, credentials: ClientCredentials, transport: Transport, timeout_seconds: float) -> None:
        """`transport` reaches the token host, whose addresses are vetted as the receiver's are."""
        self._transport = transport
        self._request = Request(
            method="POST",
            url=credentials.token_url,
            headers=(
                ("Content-Type", "application/x-www-form-urlencoded"),
                ("Accept", "application/json"),
                *credentials.headers,
            ),
            body=credentials.form.encode(),
            timeout_seconds=timeout_seconds,
        )
        self._fetching: asyncio.Task[Token | Reply] | None = None
        self._found: Token | Reply | None = None
        self._until = 0.0

    async def current(self, deadline: float) -> Token | Reply:
        """The token that holds, fetched if need be; else the reply of an attempt that failed for want of one.

        It is waited for until `deadline`, in seconds of the monotonic clock.
        """
        return await self._after(None, deadline)

    async def after(self, refused: Token, deadline: float) -> Token | Reply:
        """A token in place of one that the receiver has refused, fetched once however many were refused with it."""
        return await self._after(refused, deadline)

    def close(self) -> None:
        """Forget the connections."""
        if self._fetching:
            self._fetching.cancel()
        self._transport.close()

    async def _after(self, refused: Token | None, deadline: float) -> Token | Reply:
        if self._found is not None and self._found != refused and monotonic() < self._until:
            return self._found
        # Whoever has no time left to wait leaves the token to those who come after.
        self._fetching = self._fetching or asyncio.create_task(self._fetch())
        started = monotonic()
        try:
            async with asyncio.timeout(deadline - started):
                return await asyncio.shield(self._fetching)
        except TimeoutError:
            return failure(started, ErrorClass.TOKEN_ERROR, "the token host did not answer in time", sent=False)

    async def _fetch(self) -> Token | Reply:
        try:
            self._found, self._until = _read(await self._transport.send(self._request))
        finally:
            self._fetching = None
        return self._found


def _read(reply: Reply) -> tuple[Token | Reply, float]:
    """What a token host's reply means, and until when on the monotonic clock."""
    if reply.status is None:
        return _failed(reply, f"the token host did not answer: {reply.detail}")
    if reply.status != 200:
        return _failed(reply, f"the token host answered {reply.status}, expected 200")
    try:
        # Not strictly, since some hosts write the seconds as a text.
        answer = msgspec.json.decode(reply.body, type=_Answer, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _failed(reply, "the token host's answer is no JSON with an access_token")
    token, life = answer.access_token, LIFE_SECONDS if answer.expires_in is None else answer.expires_in
    usable = 0 < len(token) <= _TOKEN_MOST and token.isascii() and token.isprintable()
    if not usable or answer.token_type.lower() != "bearer":
        return _failed(reply, "the token host gave a token that is no bearer token")
    return Token(token), monotonic() + max(life - MARGIN_SECONDS, life / 2)


def _failed(reply: Reply, detail: str) -> tuple[Reply, float]:
    """The reply of an attempt that was not made; what the token host said is not the receiver's answer."""
    failed = replace(reply, status=None, headers=(), body=b"", truncated=False, sent=False)
    return replace(failed, error=ErrorClass.TOKEN_ERROR, detail=detail[:200]), monotonic() + REFUSAL_SECONDS
