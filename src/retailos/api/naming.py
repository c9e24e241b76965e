"""Inner schemas that have a title, moved among the named ones: generated clients have one type for each."""

from collections.abc import Mapping
from typing import Any

from retailos.api.schemas import Schema, ref

#: What is said of the place where a schema stands, and not of the schema: it stays there, beside the pointer.
_OF_THE_PLACE = frozenset({"readOnly", "x-personal"})
#: What holds values of any form, in which a title is just a word.
_VALUES = frozenset({"example", "examples", "default", "enum", "const"})


def named(schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """Give these schemas, and those within them that have a title, each by its name; the rest points to them."""
    found: dict[str, Schema] = {}
    own = {name: _inner(schema, found) for name, schema in schemas.items()}
    return own | found


def moved(part: Any, found: dict[str, Schema]) -> Any:
    """Give a part of a document with pointers where schemas with a title stood; those are added to `found`.

    Raises ValueError where one title names two schemas.
    """
    if isinstance(part, list):
        return [moved(each, found) for each in part]
    if not isinstance(part, dict):
        return part
    schema = _inner(part, found)
    title = schema.pop("title", None)
    if title is None:
        return schema
    beside = {key: schema.pop(key) for key in _OF_THE_PLACE.intersection(schema)}
    if found.setdefault(title, schema) != schema:
        raise ValueError(f"expected one schema called {title}, got two that differ")
    return ref(title) | beside


def _inner(schema: Schema, found: dict[str, Schema]) -> Schema:
    return {key: _member(key, value, found) for key, value in schema.items()}


def _member(key: str, value: Any, found: dict[str, Schema]) -> Any:
    if key in _VALUES:
        return value
    if key == "properties":
        return {name: moved(each, found) for name, each in value.items()}
    return moved(value, found)
