"""An API key: what it may do, from where and until when; how it is declared, and how it is shown."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec

from retailos.cidr import read_network
from retailos.declare.field import CREATED_AT, Field
from retailos.declare.kind import Kind, expected, storable
from retailos.declare.object import read_object
from retailos.declare.resource import Resources
from retailos.declare.shapes import ListOf
from retailos.declare.texts import Choice, Cidr, Text
from retailos.declare.values import Number, Timestamp, moment
from retailos.errors import Problem, ValidationFailed
from retailos.exchanges.networks import IPAddress, IPNetwork, within

ADMIN = "admin:*"
#: What an operation asks for whose endpoint alone can tell which resource it is about: any one's, as that will be
#: asked for there.
ANY_WRITE, ANY_VERB = "<resource>:write", "<resource>:*"
REQUEUE = "jobs:requeue"
#: What a key may do unless it is told: everything with records, nothing with the administration.
DEFAULT_SCOPES = ("*:read", "*:write")
#: What can be asked for that is no record.
_OTHER_SCOPES = ("changes:read", "jobs:read", REQUEUE, ADMIN)
SCOPES_MOST = 100
#: More are a network's plan, and belong into a firewall.
NETWORKS_MOST = 100
#: A day is time to carry a new secret to every machine that uses it; a month is the longest that two are needed.
GRACE_SECONDS, GRACE_SECONDS_MOST = 86_400, 30 * 86_400
_FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as the database knows it, to recognise it by; while it is rotated, its former secret opens too."""

    id: str
    name: str
    digest: bytes
    scopes: frozenset[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    networks: tuple[IPNetwork, ...] = ()
    former_digest: bytes | None = None
    former_until: datetime | None = None

    def opens_until(self, digest: bytes, now: datetime) -> datetime | None:
        """Until when the secret of this digest opens what the key opens; None if it opens nothing any more."""
        current = hmac.compare_digest(self.digest, digest)
        former = hmac.compare_digest(self.former_digest or b"", digest)
        until = _FOREVER if current else self.former_until if former else None
        if until is None or self.revoked_at is not None:
            return None
        until = min(until, self.expires_at or _FOREVER)
        return until if now < until else None

    def allows(self, scope: str) -> bool:
        """Tell whether the key may do what `customer:write` names; `*:write` allows it for every resource."""
        resource, _, verb = scope.partition(":")
        if resource == "<resource>":
            return any(each != ADMIN and verb in ("*", each.partition(":")[2]) for each in self.scopes)
        return scope in self.scopes or (scope != ADMIN and f"*:{verb}" in self.scopes)

    def admits(self, address: IPAddress | None) -> bool:
        """Tell whether the key may be used from an address: from anywhere, unless it has networks of its own."""
        return not self.networks or (address is not None and within(address, self.networks))


class ListedKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key as it is shown: everything but the key. `rotatingUntil` is when its former secret ends."""

    id: str
    name: str
    scopes: list[str]
    networks: list[str]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    rotating_until: str | None
    last_used_at: str | None


class NewKey(ListedKey, frozen=True, kw_only=True, rename="camel"):
    """A key just made or rotated, with its text: the only time that it is shown."""

    key: str


def key_fields(resources: Resources) -> Mapping[str, Field]:
    """The fields of a key, as they are read and documented."""
    fields = (
        Field(name="id", kind=Text(10, like=("4fK2mQ8sZ1",)), read_only=True, nullable=False),
        _field("name", Text(100, least=1, like=("erp",))),
        _field("scopes", ListOf(Choice(words=scopes(resources)), SCOPES_MOST)),
        Field(name="networks", kind=ListOf(Cidr(), NETWORKS_MOST), default=[], nullable=False, spelled_out=True),
        CREATED_AT,
        Field(name="expiresAt", kind=Timestamp(True)),
        Field(name="revokedAt", kind=Timestamp(True), read_only=True),
        Field(name="rotatingUntil", kind=Timestamp(True), read_only=True),
        Field(name="lastUsedAt", kind=Timestamp(True), read_only=True),
    )
    return MappingProxyType({each.name: each for each in fields})


ROTATION_FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "graceSeconds": Field(
            name="graceSeconds",
            kind=Number(0, GRACE_SECONDS_MOST),
            default=GRACE_SECONDS,
            nullable=False,
            spelled_out=True,
        )
    }
)


def scopes(resources: Resources) -> tuple[str, ...]:
    """Every scope that a key can be given."""
    verbs = ("read", "write")
    return (*(f"{name}:{verb}" for name in (*resources, "*") for verb in verbs), *_OTHER_SCOPES)


def read_key(resources: Resources, body: Any, kept: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read a key from a request's body, over what is `kept` of it where it exists: what the store is to write.

    Raises ValidationFailed with every problem.
    """
    if type(body) is not dict:
        raise ValidationFailed([expected("an object with the fields of a key", body, "")])
    before = dict(kept or {})
    values, problems = read_object(key_fields(resources), "key", before | body)
    wrong = {problem.path for problem in problems}
    if "/name" not in wrong and not (storable(values["name"]) and values["name"].isprintable()):
        problems.append(Problem("/name", "INVALID_NAME", "expected a name of printable characters"))
    if values.get("scopes") == []:
        problems.append(Problem("/scopes", "REQUIRED", "expected at least one scope"))
    expires_at = moment(values["expiresAt"]) if values["expiresAt"] and "/expiresAt" not in wrong else None
    if expires_at and values["expiresAt"] != before.get("expiresAt") and expires_at <= datetime.now(UTC):
        problems.append(Problem("/expiresAt", "OUT_OF_RANGE", "expected a moment to come; revoke a key to end it now"))
    if problems:
        raise ValidationFailed(problems)
    return {
        "name": values["name"],
        "scopes": tuple(dict.fromkeys(values["scopes"])),
        "networks": tuple(dict.fromkeys(map(read_network, values["networks"]))),
        "expires_at": expires_at,
    }


def read_rotation(body: Any) -> int:
    """Read for how many seconds the former secret of a key opens on; ValidationFailed with every problem."""
    if type(body) is not dict:
        raise ValidationFailed([expected("an object, such as {} or one with graceSeconds", body, "")])
    values, problems = read_object(ROTATION_FIELDS, "rotation", body)
    if problems:
        raise ValidationFailed(problems)
    return int(values["graceSeconds"])


def _field(name: str, kind: Kind) -> Field:
    return Field(name=name, kind=kind, required=True, nullable=False)
