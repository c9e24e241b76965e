"""A parameter as OpenAPI writes it down, and the few forms that most of them have."""

from collections.abc import Iterable
from typing import Any

Parameter = dict[str, Any]


def in_query(name: str, schema: dict[str, Any], said: str) -> Parameter:
    """A parameter of the query, and what it is for."""
    return {"name": name, "in": "query", "description": said, "schema": schema}


def in_header(name: str, said: str, form: str = "") -> Parameter:
    """A header that says how it is wanted; `form` is the pattern of its values."""
    schema = {"type": "string"} | ({"pattern": form} if form else {})
    return {"name": name, "in": "header", "description": said, "schema": schema}


def word(title: str, words: Iterable[str]) -> dict[str, Any]:
    """One of fixed words; `title` names the type that a generated client has for it."""
    return {"title": title, "type": "string", "enum": list(words)}


def listed(name: str, word: dict[str, Any], said: str) -> Parameter:
    """Several of some words, in one parameter, separated by commas."""
    return in_query(name, {"type": "array", "items": word, "minItems": 1}, said) | {"explode": False}


def whole(most: int, default: int) -> dict[str, Any]:
    """A whole number from 0."""
    return {"type": "integer", "minimum": 0, "maximum": most, "default": default}
