"""The documents as tests read them: their operations and examples, and what of a value does not fit a schema."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import msgspec
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from retailos.api.admin import admin_operations
from retailos.api.openapi import document
from retailos.api.routes import public_operations
from retailos.resources import RESOURCES

#: Headers of every answer that say how it travels, and what browsers may do with it.
STANDING = frozenset(
    {
        *("date", "connection", "content-type", "content-length", "transfer-encoding", "cache-control"),
        *("access-control-allow-origin", "access-control-expose-headers", "x-accel-buffering"),
        "x-content-type-options",
    }
)
#: What is documented and not always sent: where there is a next page, where a request comes again, and, with an error,
#: where a key was let in.
OCCASIONAL = frozenset(("link", "idempotency-replayed", "ratelimit", "ratelimit-policy"))


def headers_fit(response: Mapping[str, Any], sent: Iterable[str]) -> None:
    """See that an answer has the headers that are documented of it, and no others but the standing ones."""
    told = {name.lower() for name in response.get("headers", {})}
    unsent, untold = told - OCCASIONAL - set(sent), set(sent) - STANDING - told
    assert not unsent | untold, f"documented and not sent: {unsent}; sent and not documented: {untold}"


@cache
def described(part: str) -> dict[str, Any]:
    """The document of a part of the API, public or admin, as whoever fetches it has it."""
    operations = (public_operations if part == "public" else admin_operations)(RESOURCES)
    made = document(RESOURCES, operations, title=part, server_version="1")
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(made))
    return decoded


def operations_of(made: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Give method, path and description of every operation."""
    for path, item in made["paths"].items():
        yield from ((method.upper(), path, operation) for method, operation in item.items())


def closed(made: Mapping[str, Any]) -> dict[str, Any]:
    """The components, their objects open to nothing that they do not describe: what we answer is described."""
    schemas = {
        name: {"additionalProperties": False, **schema} if "properties" in schema and "anyOf" not in schema else schema
        for name, schema in made["components"]["schemas"].items()
    }
    return {"schemas": schemas}


def problems_of(made: Mapping[str, Any], schema: Mapping[str, Any], value: Any) -> list[str]:
    """Say what of a value does not fit a schema of the document."""
    validator = Draft202012Validator(
        {**schema, "components": closed(made)}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def bodies(operation: Mapping[str, Any]) -> list[Any]:
    """Give the bodies that an operation shows as examples; None where it takes none."""
    if "requestBody" not in operation:
        return [None]
    content = operation["requestBody"]["content"]["application/json"]
    return [content["example"]] if "example" in content else [each["value"] for each in content["examples"].values()]
