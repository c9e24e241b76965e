"""The only outbound SMTP: one message handed to the mail server, and what it said, whatever the other side does."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Final, Literal

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPRecipientsRefused, SMTPResponseException
from aiosmtplib import SMTPSenderRefused as SenderRefused

#: For one command, and for all of a message; a server that is slower gets another try later.
COMMAND_SECONDS: Final = 20.0
TOTAL_SECONDS: Final = 60.0
#: What is kept of an answer.
_ANSWER_MOST: Final = 500
#: Codes from here on say "never", those below "not now" (RFC 5321).
_NEVER: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where messages are handed in, and how."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str | None = None
    password: str | None = None
    #: The authorities that its certificate must lead to; None: those that the system trusts.
    authorities: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What the mail server said: recipients that it refused for now, or for good, each with its answer."""

    later: Mapping[str, str]
    never: Mapping[str, str]
    #: A word for the log, which has no address in it; "": it took the message for everybody.
    error: str = ""


async def post(server: MailServer, message: EmailMessage, sender: str, recipients: Sequence[str]) -> Posted:
    """Hand a message in for recipients; a message whose answer was lost may have been taken all the same."""
    try:
        async with asyncio.timeout(TOTAL_SECONDS):
            return await _post(server, message, sender, recipients)
    except SMTPRecipientsRefused as error:
        return _told({each.recipient: (each.code, each.message) for each in error.recipients})
    except (SenderRefused, SMTPDataError) as error:
        return _told(dict.fromkeys(recipients, (error.code, error.message)))
    except SMTPResponseException as error:
        # Of the connection or the login: for whoever runs the server to correct, so it is tried again.
        return _later(recipients, f"{error.code} {error.message}", f"SMTP {error.code}")
    except TimeoutError:
        return _later(recipients, "the mail server did not answer in time", "timeout")
    except (SMTPException, OSError, ValueError) as error:
        return _later(recipients, str(error) or type(error).__name__, type(error).__name__)


async def _post(server: MailServer, message: EmailMessage, sender: str, recipients: Sequence[str]) -> Posted:
    smtp = SMTP(
        hostname=server.host,
        port=server.port,
        username=server.user,
        password=server.password,
        use_tls=server.security == "tls",
        start_tls=server.security == "starttls",
        tls_context=None if server.security == "none" else _trusting(server.authorities),
        timeout=COMMAND_SECONDS,
    )
    try:
        await smtp.connect()
        refused, _ = await smtp.sendmail(sender, recipients, message.as_bytes())
    finally:
        # What was taken is taken; nobody waits for a farewell.
        smtp.close()
    return _told(dict(refused))


def _trusting(authorities: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authorities)


def _told(refused: Mapping[str, tuple[int, str]]) -> Posted:
    answers = {name: (code, f"{code} {text}"[:_ANSWER_MOST]) for name, (code, text) in refused.items()}
    return Posted(
        later={name: said for name, (code, said) in answers.items() if code < _NEVER},
        never={name: said for name, (code, said) in answers.items() if code >= _NEVER},
        error=", ".join(sorted({f"SMTP {code}" for code, _ in answers.values()})),
    )


def _later(recipients: Sequence[str], said: str, error: str) -> Posted:
    return Posted(later=dict.fromkeys(recipients, said[:_ANSWER_MOST]), never={}, error=error)
