"""Names of fields and resources as people read them, and as they mistype them."""

from collections.abc import Iterable
from difflib import get_close_matches

from retailos.declare.field import snake


def spaced(name: str) -> str:
    """`stockLevel` as people read it: `Stock level`."""
    words = snake(name).replace("_", " ")
    return words[0].upper() + words[1:]


def a(name: str) -> str:
    """A resource's name as it stands in a sentence: `a customer`, `an order`."""
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean lastName?` where a known name is close, else nothing."""
    close = get_close_matches(name[:100], list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
