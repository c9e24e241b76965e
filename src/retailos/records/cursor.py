"""Cursors of lists: where a page ended, so that the next begins right behind it, whatever was written meanwhile."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import msgspec

from retailos.declare.kind import storable
from retailos.declare.values import moment
from retailos.errors import InvalidCursor

#: A key of a few values; external ids are the longest.
CURSOR_BYTES = 4_000


def written(asked: str, keys: Sequence[Any]) -> str:
    """Write a cursor for a list that was `asked` for, behind the record with these sort keys."""
    token = msgspec.json.encode([_mark(asked), list(keys)])
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def read(text: str, asked: str, types: Sequence[str]) -> tuple[Any, ...]:
    """Read a cursor back into parameters of these SQL types; InvalidCursor if it is none, or of another list."""
    try:
        if len(text) > CURSOR_BYTES:
            raise ValueError("too long")
        mark, keys = msgspec.json.decode(
            base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=tuple[str, list[Any]]
        )
        if mark != _mark(asked) or len(keys) != len(types):
            raise InvalidCursor("expected the cursor of a list with the same sort and filters")
        return tuple(_parameter(key, kind) for key, kind in zip(keys, types, strict=True))
    except (ValueError, TypeError, binascii.Error, msgspec.MsgspecError, InvalidOperation, RecursionError):
        raise InvalidCursor from None


def _mark(asked: str) -> str:
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def _parameter(key: Any, kind: str) -> Any:
    if key is None:
        return None
    if not isinstance(key, str) or not storable(key):
        raise TypeError("expected text")
    match kind:
        case "uuid":
            return UUID(key)
        case "timestamptz":
            return moment(key)
        case "date":
            return date.fromisoformat(key)
        case "numeric" | "numeric(16,4)":
            number = Decimal(key)
            if not number.is_finite() or abs(number.adjusted()) > (100 if kind == "numeric" else 11):
                raise ValueError("expected a plain number")
            return number
        case _:
            return key
