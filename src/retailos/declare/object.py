"""An object read against a table of fields: unknown, missing and wrong members are all found in one go."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from retailos.declare.field import Field
from retailos.declare.names import a, did_you_mean
from retailos.declare.shapes import escaped
from retailos.errors import Problem


def read_member(field: Field, value: Any, problems: list[Problem]) -> Any:
    """Read one member; null clears an optional one to its default, unless that is to be spelled out."""
    at = f"/{field.name}"
    if value is None:
        if field.required:
            problems.append(Problem(at, "REQUIRED", "expected a value, got null"))
        elif field.spelled_out:
            default = msgspec.json.encode(field.default).decode()
            message = f"expected a value, got null; send {default} where that is meant"
            problems.append(Problem(at, "REQUIRED", message))
        return field.default
    return field.kind.read(value, at, problems)


def read_object(
    fields: Mapping[str, Field], what: str, body: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Problem]]:
    """Read a whole object, members that are absent taking their defaults; give it and what is wrong with it."""
    problems: list[Problem] = []
    for name in body:
        if name not in fields:
            problems.append(unknown(name, what, fields))
    values = {}
    for name, field in fields.items():
        if name in body and not field.read_only:
            values[name] = read_member(field, body[name], problems)
        elif field.required:
            problems.append(missing(name))
        elif not field.read_only:
            values[name] = field.default
    return values, problems


def unknown(name: str, what: str, known: Iterable[str]) -> Problem:
    """The problem of a member that the object does not have."""
    hint = did_you_mean(name, known) or "; the fields are listed in the documents of the API"
    return Problem(f"/{escaped(name)}", "UNKNOWN_FIELD", f"expected a field of {a(what)}{hint}")


def missing(name: str) -> Problem:
    """The problem of a required member that is not there."""
    return Problem(f"/{name}", "REQUIRED", "expected a value, got none")
