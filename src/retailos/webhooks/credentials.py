"""Who we are to a webhook's receiver, where it asks by a header: an API key, a name and password, or OAuth 2."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote_plus

from retailos.declare.field import Field
from retailos.declare.kind import expected
from retailos.declare.shapes import Shape
from retailos.declare.texts import Choice, Text
from retailos.errors import Problem
from retailos.exchanges.addresses import Policy, check_url
from retailos.webhooks.headers import header_problems
from retailos.webhooks.hidden import HIDDEN, nothing_kept
from retailos.webhooks.printable import Printable

_AUTHORIZATION: Final = "Authorization"
_SECRET: Final = Printable(4000, "s3cret")

#: The members of each type of credentials, beside `type`; the first is its secret.
_TYPES: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        "apiKey": Shape(
            {"key": _SECRET, "header": Printable(100, _AUTHORIZATION), "scheme": Text(100)},
            required=("key",),
        ),
        "basic": Shape(
            {"password": Text(1000, least=1), "user": Text(1000, least=1)},
            required=("user", "password"),
        ),
        "oauth2": Shape(
            {
                "clientSecret": _SECRET,
                "tokenUrl": Text(2048, least=1),
                "clientId": Printable(1000, "retailos"),
                "scope": Printable(2000, "customers.write"),
                "audience": Printable(2000, "https://erp.example.com"),
                "authentication": Choice(words=("basic", "body")),
            },
            required=("tokenUrl", "clientId", "clientSecret"),
        ),
    }
)
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "apiKey": {"header": _AUTHORIZATION, "scheme": "API_KEY"},
        "basic": {},
        "oauth2": {"scope": None, "audience": None, "authentication": "basic"},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """How a token is had: OAuth 2's grant for a program that acts for itself (RFC 6749, section 4.4)."""

    token_url: str
    #: The form to send, the client's id and secret in it where they are not in a header.
    form: str
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Credentials:
    """An object of one of the types, its secret never shown again."""

    sql_type: str = "jsonb"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take the members of its type, those that are absent at their defaults."""
        if type(value) is not dict:
            problems.append(expected("an object with a type", value, at))
            return value
        named = value.get("type")
        if type(named) is not str or named not in _TYPES:
            problems.append(Problem(f"{at}/type", "UNKNOWN_CHOICE", f"expected one of {', '.join(_TYPES)}"))
            return value
        members = {name: each for name, each in value.items() if name != "type"}
        known = _TYPES[named].read(members, at, problems)
        if named == "basic" and ":" in str(known.get("user")):
            problems.append(Problem(f"{at}/user", "INVALID_TEXT", "expected a user without a colon (RFC 7617)"))
        return {"type": named, **_DEFAULTS[named], **known}

    def hidden(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """All but the secret."""
        return {**value, _secret_of(value): HIDDEN}

    def restored(self, value: Any, kept: Any, at: str, problems: list[Problem]) -> Any:
        """Put back the secret of credentials of the same type."""
        secret = _secret_of(value)
        if value[secret] != HIDDEN:
            return value
        before = kept[secret] if kept and kept["type"] == value["type"] else HIDDEN
        if before == HIDDEN:
            problems.append(nothing_kept(f"{at}/{secret}"))
        return {**value, secret: before}

    def parse(self, text: str) -> Any:
        """Not filtered by."""
        raise ValueError("expected no filter on credentials")

    def schema(self) -> dict[str, Any]:
        """One of the types."""
        described = []
        for name, shape in _TYPES.items():
            schema = shape.schema()
            schema["properties"] = {"type": {"const": name}, **schema["properties"]}
            for optional in _DEFAULTS[name]:
                schema["properties"][optional] = _nullable(schema["properties"][optional])
            title = f"{name[0].upper()}{name[1:]}Credentials"
            described.append({"title": title, **schema, "required": ["type", *shape.required]})
        return {"oneOf": described, "description": f"Secrets show as {HIDDEN}."}

    def column(self, text: str) -> str:
        """The object itself."""
        return f"({text})::jsonb"

    def sample(self, random: Random) -> dict[str, Any]:
        """The guide's own header."""
        return {"type": "apiKey", "key": "<your api key here>", **_DEFAULTS["apiKey"]}


FIELDS: Final = (Field(name="credentials", kind=Credentials()),)


def headers_of(credentials: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    """The headers that go with every request; none where a token has to be fetched first."""
    match credentials:
        case {"type": "apiKey", "header": header, "scheme": scheme, "key": key}:
            return ((header, f"{scheme} {key}" if scheme else key),)
        case {"type": "basic", "user": user, "password": password}:
            return ((_AUTHORIZATION, _basic(user, password)),)
        case _:
            return ()


def client_credentials(credentials: Mapping[str, Any] | None) -> ClientCredentials | None:
    """How to fetch a token, where the webhook needs one."""
    if credentials is None or credentials["type"] != "oauth2":
        return None
    asked = {"grant_type": "client_credentials", "scope": credentials["scope"], "audience": credentials["audience"]}
    client = {"client_id": credentials["clientId"], "client_secret": credentials["clientSecret"]}
    in_header = credentials["authentication"] == "basic"
    form = {name: text for name, text in (asked | ({} if in_header else client)).items() if text}
    encoded = (quote_plus(client["client_id"]), quote_plus(client["client_secret"]))
    return ClientCredentials(
        token_url=credentials["tokenUrl"],
        form="&".join(f"{name}={quote_plus(text)}" for name, text in form.items()),
        headers=((_AUTHORIZATION, _basic(*encoded)),) if in_header else (),
    )


def credential_problems(credentials: Any, headers: Mapping[str, str], policy: Policy) -> Iterator[Problem]:
    """What is wrong with credentials as they are read, beside the headers that the webhook sends anyway."""
    header = credentials.get("header", _AUTHORIZATION)
    if credentials["type"] == "apiKey":
        yield from header_problems(header, "x", "/credentials/header")
        scheme = credentials["scheme"]
        if not (scheme.isascii() and scheme.isprintable()):
            yield Problem("/credentials/scheme", "INVALID_TEXT", "expected printable ASCII characters, or none")
    if credentials["type"] == "oauth2":
        url = credentials["tokenUrl"]
        for problem in check_url(url, policy):
            yield Problem("/credentials/tokenUrl", problem.code, problem.message)
        if "{" in url or "}" in url:
            yield Problem("/credentials/tokenUrl", "INVALID_URL", "expected a URL without fields of a record in braces")
    if header.lower() in {name.lower() for name in headers}:
        message = f"expected no {header[:100]} among the headers beside credentials that set it"
        yield Problem("/credentials", "DUPLICATE_HEADER", message)


def _nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A member that may be null, which stands for its default."""
    words = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": ["string", "null"], **words}


def _secret_of(credentials: Mapping[str, Any]) -> str:
    return next(iter(_TYPES[credentials["type"]].members))


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
