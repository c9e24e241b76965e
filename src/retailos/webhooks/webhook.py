"""A webhook: the standing order to tell one URL of every change of one resource, and how it is declared.

What a webhook says is made of parts. Each part is a noun with a module of its own, which declares its fields and reads
its value from the settings; a new setting is a line here and nothing in SQL.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as member
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Self

from retailos.declare.field import CREATED_AT, UPDATED_AT, Field
from retailos.declare.resource import Resources
from retailos.declare.texts import Choice, Text
from retailos.declare.values import Boolean, Number, Timestamp, printed
from retailos.webhooks import (
    agreement,
    batching,
    breaker_policy,
    certificates,
    credentials,
    requeue_policy,
    retry,
    scope,
    shape,
    signature,
)
from retailos.webhooks.agreement import Agreement
from retailos.webhooks.batching import Batching
from retailos.webhooks.breaker_policy import BreakerPolicy
from retailos.webhooks.headers import Headers
from retailos.webhooks.hidden import Hiding
from retailos.webhooks.requeue_policy import RequeuePolicy
from retailos.webhooks.retry import RetryPolicy
from retailos.webhooks.scope import Scope
from retailos.webhooks.shape import Shape
from retailos.webhooks.url import variables

_URL_LIKE = "https://erp.example.com/v1/customer/{externalCustomerId}"


def _field(name: str, kind: Any, default: Any = None, *, required: bool = False) -> Field:
    return Field(name=name, kind=kind, default=default, required=required, nullable=False)


#: What is kept as one value and obeyed by the worker alone; the rest of a webhook is what others must find it by.
SETTINGS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        each.name: each
        for each in (
            _field("url", Text(2048, like=(_URL_LIKE,)), required=True),
            _field("method", Choice(words=("PUT", "POST", "PATCH")), "PUT"),
            _field("headers", Headers(), {}),
            *retry.FIELDS,
            *requeue_policy.FIELDS,
            _field("timeout", Number(1, 300, places=3), 30),
            _field("connectTimeout", Number(1, 300, places=3), 5),
            _field("concurrency", Number(1, 256), 16),
            _field("rate", Number(0, 10_000, places=3), 0),
            *breaker_policy.FIELDS,
            *scope.FIELDS,
            *shape.FIELDS,
            *batching.FIELDS,
            *agreement.FIELDS,
            *credentials.FIELDS,
            *signature.FIELDS,
            *certificates.FIELDS,
        )
    }
)
#: Those that hold secrets: what is stored with the others is what is shown of them, and their values are sealed.
SECRETS: Final = frozenset(name for name, each in SETTINGS.items() if isinstance(each.kind, Hiding))
_DEFAULTS: Final = MappingProxyType({name: each.default for name, each in SETTINGS.items() if not each.required})


def webhook_fields(resources: Resources) -> Mapping[str, Field]:
    """The fields of a webhook, as they are read, shown and documented."""
    fields = (
        Field(name="id", kind=Number(1, 2**31 - 1), read_only=True, nullable=False),
        _field("name", Text(100, least=1, like=("erp-customers",)), required=True),
        _field("resource", Choice(words=tuple(resources)), required=True),
        *SETTINGS.values(),
        Field(name="active", kind=Boolean(), default=True, nullable=False, spelled_out=True),
        Field(name="disabled", kind=Boolean(), read_only=True, nullable=False),
        Field(name="pausedReason", kind=Text(200), read_only=True),
        Field(name="heldSince", kind=Timestamp(True), read_only=True),
        Field(name="certificateExpiresAt", kind=Timestamp(True), read_only=True),
        CREATED_AT,
        UPDATED_AT,
    )
    return MappingProxyType({each.name: each for each in fields})


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A webhook as it is saved and obeyed."""

    id: int
    name: str
    resource: str
    #: All of SETTINGS, as they were read; the attributes below are made of them.
    settings: Mapping[str, Any] = member(repr=False)
    #: The template of the URL; `{externalCustomerId}` stands for the record's value, as one segment.
    url: str
    method: str
    headers: Mapping[str, str] = member(repr=False)
    retry: RetryPolicy
    requeue: RequeuePolicy
    #: Seconds for one attempt, from the look-up of the host to the last byte of the answer.
    timeout: float
    #: Seconds of it that a connection may take to come about.
    connect_timeout: float
    #: Requests under way at once, over all workers.
    concurrency: int
    #: Requests in a second, over all workers; 0: any number.
    rate: float
    breaker: BreakerPolicy
    scope: Scope
    batching: Batching
    agreement: Agreement
    shape: Shape
    active: bool
    #: Nothing is owed to it of what changes.
    disabled: bool = False
    #: Why it was paused by itself.
    paused_reason: str | None = None
    #: Since when its breaker holds deliveries; no part of what the webhook says.
    held_since: datetime | None = member(default=None, compare=False)
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, *, settings: Mapping[str, Any], **known: Any) -> Self:
        """Make it of its settings, those that are younger than it at their defaults, and of what else is known."""
        settings = {**_DEFAULTS, **settings}
        return cls(
            settings=settings,
            url=settings["url"],
            method=settings["method"],
            headers=settings["headers"],
            retry=RetryPolicy.of(settings),
            requeue=RequeuePolicy.of(settings),
            timeout=float(settings["timeout"]),
            connect_timeout=float(settings["connectTimeout"]),
            concurrency=settings["concurrency"],
            scope=Scope.of(settings),
            rate=float(settings["rate"]),
            breaker=BreakerPolicy.of(settings),
            batching=Batching.of(settings),
            agreement=Agreement.of(settings),
            shape=Shape.of(settings),
            **known,
        )

    def with_secrets(self, secrets: Mapping[str, Any]) -> Self:
        """The same webhook, these of its settings as they are and no longer hidden."""
        ours = (
            "id",
            "name",
            "resource",
            "active",
            "disabled",
            "paused_reason",
            "held_since",
            "created_at",
            "updated_at",
        )
        return self.of(settings={**self.settings, **secrets}, **{name: getattr(self, name) for name in ours})

    @property
    def signs(self) -> bool:
        """Whether what it sends is signed."""
        return self.settings["signing"] is not None

    @property
    def variables(self) -> tuple[str, ...]:
        """The fields of the record that stand in the URL."""
        return variables(self.url)


def shown(webhook: Webhook) -> dict[str, Any]:
    """A webhook as it is shown: its members in the declared order, its secrets hidden."""
    ends = certificates.expires_at(webhook.settings)
    return {
        "id": webhook.id,
        "name": webhook.name,
        "resource": webhook.resource,
        **hidden(webhook.settings),
        "active": webhook.active,
        "disabled": webhook.disabled,
        "pausedReason": webhook.paused_reason,
        "heldSince": None if webhook.held_since is None else printed(webhook.held_since),
        "certificateExpiresAt": ends and printed(ends),
        "createdAt": printed(webhook.created_at),
        "updatedAt": printed(webhook.updated_at),
    }


def hidden(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are shown and stored: in the declared order, their secrets hidden."""
    return {name: _hidden(field, settings[name]) for name, field in SETTINGS.items()}


def has_clear(settings: Mapping[str, Any]) -> bool:
    """Whether a setting that is a secret stands in clear, as earlier versions stored it."""
    return any(_hidden(SETTINGS[name], settings[name]) != settings[name] for name in SECRETS.intersection(settings))


def said(webhook: Webhook) -> dict[str, Any]:
    """A webhook as a request's body would say it."""
    return {
        "name": webhook.name,
        "resource": webhook.resource,
        **{name: webhook.settings[name] for name in SETTINGS},
        "active": webhook.active,
    }


def _hidden(field: Field, value: Any) -> Any:
    return field.kind.hidden(value) if isinstance(field.kind, Hiding) and value is not None else value
