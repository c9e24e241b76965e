"""A webhook: the standing order to tell one URL of every change of one resource, and how it is declared."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from retailos.declare.field import CREATED_AT, UPDATED_AT, Field
from retailos.declare.kind import expected, storable
from retailos.declare.object import read_object
from retailos.declare.resource import Resources, did_you_mean
from retailos.declare.shapes import FreeJson, ListOf, Shape
from retailos.declare.texts import Choice, Text
from retailos.declare.values import Boolean, Number
from retailos.errors import Problem
from retailos.webhooks.addresses import Policy, check_url
from retailos.webhooks.outcome import RetryPolicy

#: What stands in place of a header's value when a webhook is shown, and keeps the value when it is sent back.
HIDDEN = "***"
HEADERS_MOST = 50
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}\Z")
#: Set by us on every request, or by the connection itself.
_HEADERS_OURS = ("content-type", "accept", "content-length", "host", "connection", "transfer-encoding", "expect")
_VARIABLE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Headers:
    """Names and values of HTTP headers, the values never shown again."""

    sql_type: str = "jsonb"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take an object of header names and values that can be sent."""
        if type(value) is not dict:
            problems.append(expected("an object of names and values", value, at))
            return value
        if len(value) > HEADERS_MOST:
            problems.append(Problem(at, "TOO_MANY", f"expected at most {HEADERS_MOST} headers"))
        for name, text in list(value.items())[:HEADERS_MOST]:
            problems.extend(_header_problems(name, text, f"{at}/{name[:100]}"))
        return value

    def parse(self, text: str) -> Any:
        """Not filtered by."""
        raise ValueError("expected no filter on headers")

    def schema(self) -> dict[str, Any]:
        """An object of strings."""
        return {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": HEADERS_MOST}

    def column(self, text: str) -> str:
        """The object itself."""
        return f"({text})::jsonb"

    def sample(self, random: Any) -> dict[str, str]:
        """The guide's own header."""
        return {"Authorization": "API_KEY <your api key here>"}


def _header_problems(name: str, text: Any, at: str) -> list[Problem]:
    if not _HEADER_NAME.match(name):
        return [Problem(at, "INVALID_HEADER", "expected a header name of letters, digits and hyphens")]
    if name.lower() in _HEADERS_OURS or name.lower().startswith("x-ra-"):
        return [Problem(at, "RESERVED_HEADER", "expected a header that is not set for every request anyway")]
    if type(text) is not str or len(text) > 8000 or not text.isascii() or not text.isprintable():
        return [Problem(at, "INVALID_HEADER", "expected a value of printable ASCII characters")]
    return []


def _field(name: str, kind: Any, default: Any = None, *, required: bool = False) -> Field:
    return Field(name=name, kind=kind, default=default, required=required, nullable=False)


_STANDARD = RetryPolicy()


def webhook_fields(resources: Resources) -> Mapping[str, Field]:
    """The fields of a webhook, as they are read and documented."""
    fields = (
        Field(name="id", kind=Number(1, 2**31 - 1), read_only=True, nullable=False),
        _field("name", Text(100, least=1, like=("erp-customers",)), required=True),
        _field("resource", Choice(words=tuple(resources)), required=True),
        _field("url", Text(2048, like=("https://erp.example.com/v1/customer/{externalCustomerId}",)), required=True),
        _field("method", Choice(words=("PUT", "POST", "PATCH")), "PUT"),
        _field("headers", Headers(), {}),
        _field("retryLimit", Number(0, 1000), _STANDARD.retry_limit),
        _field("retryDelay", Number(0, 604_800, places=3), _STANDARD.retry_delay),
        _field("retryBackoff", Boolean(), _STANDARD.retry_backoff),
        _field("retryDelayMax", Number(0, 604_800, places=3), _STANDARD.retry_delay_max),
        _field("timeout", Number(1, 300, places=3), 30),
        _field("concurrency", Number(1, 256), 16),
        _field("active", Boolean(), True),
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
    #: The template of the URL; `{externalCustomerId}` stands for the record's value, as one segment.
    url: str
    method: str
    headers: Mapping[str, str]
    retry: RetryPolicy
    #: Seconds for one attempt, from the look-up of the host to the last byte of the answer.
    timeout: float
    #: Requests under way at once.
    concurrency: int
    active: bool
    created_at: datetime
    updated_at: datetime

    @property
    def variables(self) -> tuple[str, ...]:
        """The fields of the record that stand in the URL."""
        return variables(self.url)


def variables(url: str) -> tuple[str, ...]:
    """The names in braces of a URL template, in order."""
    return tuple(_VARIABLE.findall(url))


def read_webhook(
    resources: Resources, body: Any, policy: Policy, kept: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], list[Problem]]:
    """Read a webhook from a request's body, over what is `kept` of it where it exists; give it and every problem."""
    if type(body) is not dict:
        return {}, [expected("an object with the fields of a webhook", body, "")]
    fields = webhook_fields(resources)
    values, problems = read_object(fields, "webhook", dict(kept or {}) | body)
    wrong = {problem.path for problem in problems}
    if not wrong & {"/url", "/resource"}:
        problems.extend(_url_problems(resources, values, policy))
    if "/headers" not in {path[:8] for path in wrong}:
        values["headers"] = _unhidden(values["headers"], kept, problems)
    if "/name" not in wrong and not (storable(values["name"]) and values["name"].isprintable()):
        problems.append(Problem("/name", "INVALID_NAME", "expected a name of printable characters"))
    return values, problems


def _url_problems(resources: Resources, values: Mapping[str, Any], policy: Policy) -> list[Problem]:
    url, resource = values["url"], resources[values["resource"]]
    problems = check_url(url, policy)
    usable = [name for name, field in resource.fields.items() if not isinstance(field.kind, FreeJson | ListOf | Shape)]
    for name in variables(url):
        if name not in usable:
            hint = did_you_mean(name, usable) or f"; such as {{{resource.external_id.name}}}"
            message = f"expected fields of a {resource.name} in braces, got {{{name[:100]}}}{hint}"
            problems.append(Problem("/url", "UNKNOWN_TEMPLATE_FIELD", message))
    if re.search(r"[{}]", _VARIABLE.sub("", url)):
        problems.append(Problem("/url", "INVALID_TEMPLATE", "expected every { to be closed by a }"))
    return problems


def _unhidden(headers: Mapping[str, str], kept: Mapping[str, Any] | None, problems: list[Problem]) -> dict[str, str]:
    """Put back the values that were shown hidden and came back so."""
    before = {name.lower(): text for name, text in (kept or {}).get("headers", {}).items()}
    given = {name: before.get(name.lower(), text) if text == HIDDEN else text for name, text in headers.items()}
    for name, text in given.items():
        if text == HIDDEN:
            problems.append(Problem(f"/headers/{name}", "HIDDEN_VALUE", f"expected a value, got {HIDDEN}"))
    return given
