"""Formats that are the rule and not insisted on: what is written otherwise is kept as sent, and the answer says so."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from retailos.declare.shapes import escaped
from retailos.declare.texts import Telephone
from retailos.errors import Problem

#: Warnings of one kind for one record; an order has a thousand lines, and a mistake of its source is in each.
_TOLD_MOST: Final = 10
#: GS1 has numbers of these lengths, the last digit of each a check of the others.
_GTIN_LENGTHS: Final = (8, 12, 13, 14)
#: From the four digits of the smallest islands to the fifteen of E.164.
_TELEPHONE_DIGITS: Final = range(4, 16)
#: How nearly every number is written, told in a microsecond; it begins with no 00.
_USUAL: Final = re.compile(r"(?:\+|0(?!0))?[1-9](?:[ -]?[0-9]){4,13}")
#: Digits and what is written between them, and behind them an extension.
_NUMBER: Final = re.compile(
    r"\+?(?:[\s().\-/\u2010-\u2015]*[0-9])+[\s().\-/\u2010-\u2015]*(?:(?:x|ext\.?|#)\s*[0-9]{1,7})?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Unlike:
    """Warns of texts, at paths such as `gtin`, `guest.telephone` or `lines.gtin`, that are not of a format."""

    paths: tuple[str, ...]
    is_like: Callable[[str], bool]
    code: str
    #: What was expected.
    what: str

    def __call__(self, patch: Mapping[str, Any]) -> Iterator[Problem]:
        """Give a problem for each text that is not empty and is of another form; the text itself is not told."""
        sent = (path for path in self.paths if patch.get(path.partition(".")[0]))
        unlike = (at for path in sent for at, text in _texts(patch, path) if not self.is_like(text))
        for at in islice(unlike, _TOLD_MOST):
            yield Problem(at, self.code, f"expected {self.what}; it was kept as sent")


def gtins(*paths: str) -> Unlike:
    """Warn of what is no GTIN: in-store barcodes are none, and belong into `barcodes`."""
    what = "a GTIN of 8, 12, 13 or 14 digits whose last one is the check digit of the others, such as 5012345678900"
    return Unlike(paths, is_gtin, "NOT_A_GTIN", what)


def telephones(*paths: str) -> Unlike:
    """Warn of what can't be read as a telephone number, and so is not found by its digits."""
    what = f"a telephone number of {_TELEPHONE_DIGITS[0]} to {_TELEPHONE_DIGITS[-1]} digits, such as +44 20 7946 0958"
    return Unlike(paths, is_telephone, "NOT_A_TELEPHONE", what)


def is_gtin(text: str) -> bool:
    """Tell whether a text is a GTIN with the right check digit (GS1 General Specifications, 7.9)."""
    if len(text) not in _GTIN_LENGTHS or not (text.isascii() and text.isdigit()):
        return False
    return sum(int(digit) * (3 if i % 2 else 1) for i, digit in enumerate(reversed(text))) % 10 == 0


def is_telephone(text: str) -> bool:
    """Tell whether a text can be read as a telephone number, of this or another country; whose it is, is not known."""
    if _USUAL.fullmatch(text):
        return True
    if not _NUMBER.fullmatch(text.strip()):
        return False
    number = re.split("[xe#]", text.lower(), maxsplit=1)[0]
    try:
        return len(Telephone().parse(number)) in _TELEPHONE_DIGITS
    except ValueError:
        return False


def _texts(value: Any, path: str, at: str = "") -> Iterator[tuple[str, str]]:
    """Give the texts at a path that are not empty, each with its JSON pointer; arrays have one at each item."""
    if type(value) is list:
        for i, item in enumerate(value):
            yield from _texts(item, path, f"{at}/{i}")
    elif path and type(value) is dict:
        name, _, rest = path.partition(".")
        yield from _texts(value.get(name), rest, f"{at}/{escaped(name)}")
    elif not path and type(value) is str and value:
        yield at, value
