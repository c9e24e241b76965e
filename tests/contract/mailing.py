"""A mail server that is one: it takes mails, refuses them, puts them off or hangs, as it is told."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any
from urllib.parse import urlsplit

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from aiosmtpd.smtp import SMTP as Server

from retailos.database.pool import Connection
from retailos.settings import Settings
from tests.conftest import eventually
from tests.contract.conftest import Api, Response
from tests.contract.importing import unchunked

SENDER = "retailos@example.com"
TO, OTHER = "operations@example.com", "night-shift@example.com"
PUBLIC = "https://retailos.example.com"


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail that was taken: for whom, and how it came."""

    recipients: tuple[str, ...]
    message: EmailMessage
    secured: bool
    user: str | None

    def text(self, kind: str = "plain") -> str:
        """What it says, as text or as HTML."""
        body = self.message.get_body((kind,))
        assert isinstance(body, EmailMessage)
        return str(body.get_content()).replace("\r\n", "\n")


@dataclass(slots=True, kw_only=True)
class Postbox:
    """What came to a mail server, and what it answers."""

    port: int = 0
    taken: list[Taken] = field(default_factory=list)
    #: Attempts that came as far as a recipient.
    asked: list[str] = field(default_factory=list)
    #: What it answers to recipients, in place of taking them; and to messages.
    to_recipients: dict[str, str] = field(default_factory=dict)
    to_messages: list[str] = field(default_factory=list)
    #: Called once a message has come, before it is answered.
    before: Callable[[], Awaitable[None]] | None = None

    async def handle_RCPT(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, or not."""
        self.asked.append(address)
        if address in self.to_recipients:
            return self.to_recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:
        """Take a message, or not."""
        if self.before:
            await self.before()
        if self.to_messages:
            return self.to_messages.pop(0)
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        user = session.auth_data.login.decode() if session.auth_data else None
        secured = server.transport is not None and server.transport.get_extra_info("sslcontext") is not None
        self.taken.append(Taken(tuple(envelope.rcpt_tos), message, secured, user))
        return "250 OK"


def knowing(user: str, password: str) -> dict[str, Any]:
    """Settings of a server that takes mails of one user alone."""

    def authenticate(server: Server, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        known = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
        return AuthResult(success=known, handled=False, auth_data=data)

    return {"auth_required": True, "authenticator": authenticate}


@asynccontextmanager
async def postbox(
    tls: ssl.SSLContext | None = None, *, at_once: bool = False, host: str = "127.0.0.1", **more: Any
) -> AsyncIterator[Postbox]:
    """A mail server for the length of the block: in clear, with STARTTLS, or with TLS `at_once`."""
    box = Postbox()
    starting = {"tls_context": tls, "require_starttls": True}
    own: Mapping[str, Any] = starting if tls and not at_once else {"auth_require_tls": False}

    def protocol() -> SMTP:
        return SMTP(box, hostname="mail.example.com", loop=asyncio.get_running_loop(), **own, **more)

    server = await asyncio.get_running_loop().create_server(protocol, host, 0, ssl=tls if at_once else None)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()


def mailed(settings: Settings, box: Postbox, **more: Any) -> Settings:
    """Settings of an installation that mails by this server, in clear unless told."""
    own: dict[str, Any] = {"smtp_host": "127.0.0.1", "smtp_port": box.port, "smtp_security": "none"}
    return replace(settings, **(own | {"mail_from": SENDER, "public_url": PUBLIC} | more))


async def report(api: Api, **fields: Any) -> int:
    """Add a report of everything; its id."""
    answer = await api.admin("POST", "/reports", json={"name": "daily", "recipients": [TO]} | fields)
    assert answer.status == 201, answer.body
    made: int = answer.result["id"]
    return made


async def due_now(connection: Connection, kind: str = "issue report") -> None:
    """Let what is planned be due."""
    await connection.execute("update schedule set due_at = now() where kind = $1", kind)


async def issue_in(api: Api, report_id: int, status: str, attempts: int = 1) -> dict[str, Any]:
    """Wait until the newest issue of a report is in a status after so many attempts, and give it."""

    async def look() -> dict[str, Any]:
        rows = (await api.admin("GET", f"/reports/{report_id}/issues")).result["rows"]
        return rows[0] if rows and (rows[0]["status"], rows[0]["attempts"]) == (status, attempts) else {}

    return await eventually(look)


async def settled_attempt(api: Api, report_id: int, error: str, attempt: int = 1) -> dict[str, Any]:
    """Wait until an attempt at the newest issue of a report is settled with an error, and give the issue."""

    async def look() -> dict[str, Any]:
        rows = (await api.admin("GET", f"/reports/{report_id}/issues")).result["rows"]
        return rows[0] if rows and (rows[0]["error"], rows[0]["attempts"]) == (error, attempt) else {}

    return await eventually(look)


async def fetched(api: Api, url: str, method: str = "GET") -> Response:
    """Follow a link of a mail, without a key."""
    parts = urlsplit(url)
    answer = await api.request(method, f"{parts.path}?{parts.query}", key="")
    return replace(answer, body=unchunked(answer.body)) if (answer.status, method) == (200, "GET") else answer
