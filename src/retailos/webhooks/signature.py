"""Signatures of what a webhook sends, as Standard Webhooks has them: who can check one knows that it came from us.

A message has an id, the second at which it was sent, and a body; all three are signed. While a secret is being changed
two signatures go out, and the receiver may know either secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Any, Final, Self

from msgspec.structs import replace

from retailos.declare.field import Field
from retailos.declare.shapes import Shape
from retailos.declare.texts import Choice
from retailos.declare.values import Number, Timestamp, moment, printed
from retailos.errors import Problem
from retailos.exchanges.exchange import Request
from retailos.webhooks.hidden import HIDDEN, nothing_kept
from retailos.webhooks.printable import Printable
from retailos.webhooks.signers import EXPECTED, LIKE, PUBLIC_LIKE, SCHEMES, Signer, public_key_of, signer_of

#: A day is time to carry a new secret to every machine that checks; a month is the longest that two are needed.
GRACE_SECONDS, GRACE_SECONDS_MOST = 86_400, 30 * 86_400
_SHAPE: Final = Shape(
    {
        "secret": Printable(120, LIKE),
        "formerSecret": Printable(120, ""),
        "formerUntil": Timestamp(True),
        "publicKey": Printable(120, PUBLIC_LIKE),
    },
    required=("secret",),
)
_SECRETS: Final = ("secret", "formerSecret")
_NOTHING: Final = MappingProxyType({"secret": None, "formerSecret": None, "formerUntil": None, "publicKey": None})


@dataclass(frozen=True, slots=True)
class SigningSecrets:
    """The secret that signs, and for a while the one before it; neither is shown again, but what is public of it."""

    sql_type: str = "jsonb"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take secrets as Standard Webhooks writes them; the public key is not taken, but made of its private one."""
        known = _SHAPE.read(value, at, problems)
        if known is value:
            return value
        for name in _SECRETS:
            if (secret := known.get(name)) is not None and not _is_secret(secret):
                problems.append(Problem(f"{at}/{name}", "INVALID_SECRET", EXPECTED))
        if "formerSecret" in known and "formerUntil" not in known:
            problems.append(Problem(f"{at}/formerUntil", "REQUIRED", "expected until when the former secret signs too"))
        if known.get("formerUntil") is not None and known.get("formerSecret") is None:
            problems.append(Problem(f"{at}/formerSecret", "REQUIRED", "expected what signs until then"))
        return {**_NOTHING, **known, "publicKey": _public(known.get("secret"))}

    def hidden(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Whether there are secrets, and until when there are two."""
        return {**value, **{name: HIDDEN for name in _SECRETS if value[name] is not None}}

    def restored(self, value: Any, kept: Any, at: str, problems: list[Problem]) -> Any:
        """Put back the secrets that came hidden."""
        given = dict(value)
        for name in _SECRETS:
            if given[name] == HIDDEN:
                given[name] = (kept or {}).get(name)
                if given[name] in (None, HIDDEN):
                    problems.append(nothing_kept(f"{at}/{name}"))
        return {**given, "publicKey": _public(given["secret"])}

    def parse(self, text: str) -> Any:
        """Not filtered by."""
        raise ValueError("expected no filter on secrets")

    def schema(self) -> dict[str, Any]:
        """An object of secrets."""
        schema = _SHAPE.schema()
        for name in ("formerSecret", "formerUntil", "publicKey"):
            schema["properties"][name] = {**schema["properties"][name], "type": ["string", "null"]}
        said = f"whsec_… signs as v1, whsk_… as v1a, whose publicKey is shown. Secrets show as {HIDDEN}."
        return schema | {"description": said}

    def column(self, text: str) -> str:
        """The object itself."""
        return f"({text})::jsonb"

    def sample(self, random: Random) -> dict[str, Any]:
        """A secret that signs nothing."""
        return {**_NOTHING, "secret": LIKE}


FIELDS: Final = (Field(name="signing", kind=SigningSecrets()),)
#: What a rotation says: how long the former secret signs too, and the new one, or what it is to be like.
ROTATION_FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "graceSeconds": Field(
            name="graceSeconds",
            kind=Number(0, GRACE_SECONDS_MOST),
            default=GRACE_SECONDS,
            nullable=False,
            spelled_out=True,
        ),
        "secret": Field(name="secret", kind=Printable(120, LIKE)),
        "scheme": Field(name="scheme", kind=Choice(words=SCHEMES)),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """What signs; the former one until a moment."""

    signer: Signer
    former: Signer | None = None
    former_until: datetime | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any] | None) -> Self | None:
        """Read it from a webhook's settings; None where nothing is signed."""
        if settings is None:
            return None
        former, until = settings["formerSecret"], settings["formerUntil"]
        return cls(
            signer=signer_of(settings["secret"]),
            former=signer_of(former) if former else None,
            former_until=moment(until) if until else None,
        )


def signed(request: Request, signing: Signing, at: datetime) -> Request:
    """A request with the three headers of Standard Webhooks, signed as it is sent at a moment."""
    second = str(int(at.timestamp()))
    message = f"{request.message_id}.{second}.".encode() + request.body
    signers = [signing.signer]
    if signing.former and signing.former_until and at < signing.former_until:
        signers.append(signing.former)
    headers = (
        ("webhook-id", request.message_id),
        ("webhook-timestamp", second),
        ("webhook-signature", " ".join(signer(message) for signer in signers)),
    )
    return replace(request, headers=(*request.headers, *headers))


def rotated(signing: Mapping[str, Any] | None, secret: str, grace_seconds: int, now: datetime) -> dict[str, Any]:
    """The setting with a new secret; the one that it had signs too for the time of grace, one before that no more."""
    if signing is None or not grace_seconds:
        return {**_NOTHING, "secret": secret, "publicKey": _public(secret)}
    until = printed(now + timedelta(seconds=grace_seconds))
    return {
        "secret": secret,
        "formerSecret": signing["secret"],
        "formerUntil": until,
        "publicKey": _public(secret),
    }


def secret_problem(secret: str, at: str) -> Problem | None:
    """What is wrong with a secret that was given."""
    if secret == HIDDEN:
        return nothing_kept(at)
    found: list[Problem] = []
    SigningSecrets().read({"secret": secret}, "", found)
    return Problem(at, found[0].code, found[0].message) if found else None


def _is_secret(text: Any) -> bool:
    if text == HIDDEN:
        return True
    try:
        signer_of(str(text))
    except ValueError:
        return False
    return True


def _public(secret: Any) -> str | None:
    """What is shown of a secret to whoever checks its signatures, as far as it is one."""
    return public_key_of(secret) if secret not in (None, HIDDEN) and _is_secret(secret) else None
