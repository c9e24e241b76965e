"""The answer to a batch, read into a verdict for each of its records; nothing that it says is taken for granted.

A record that the answer does not name was not taken, unless it was agreed that only failures are named. An answer that
can't be read takes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from retailos.errors import RetailOSError
from retailos.exchanges.exchange import ErrorClass, Reply, class_of_status
from retailos.records.body import decode
from retailos.sending.request import Told
from retailos.webhooks.agreement import Terms
from retailos.webhooks.pointer import follow

#: Characters of a record's error that are shown as the attempt's detail, and bytes of what was said that are kept.
DETAIL_LONGEST: Final = 200
SAID_LONGEST: Final = 4 * 1024
#: Warnings that are kept of one answer.
WARNINGS_MOST: Final = 10

#: JSON values that an answer may have, as far as they are told by what stands before them, and texts count in part: an
#: id, a code, a message and three fields make a dozen. A value takes up to 50 times its bytes of memory.
VALUES_LEAST: Final = 4_000
VALUES_PER_RECORD: Final = 32
_BEFORE_VALUES: Final = (b",", b"[", b"{")

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a record was not taken."""

    error_class: ErrorClass
    detail: str
    #: The HTTP status that the answer gives the record, where it gives one.
    status: int | None = None
    #: What the answer says of the record, as JSON.
    said: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What an answer says: for each record of the batch, in order, why it was not taken, or None if it was."""

    refusals: Sequence[Refusal | None]
    #: What was passed over, in words that quote nothing.
    warnings: tuple[str, ...] = ()


class _Warnings:
    """The first few warnings of an answer, and how many more there were."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._count = 0

    def add(self, said: str) -> None:
        """Note one."""
        self._count += 1
        if len(self._first) < WARNINGS_MOST:
            self._first.append(said)

    @property
    def told(self) -> tuple[str, ...]:
        """What is told of them."""
        if self._count <= WARNINGS_MOST:
            return tuple(self._first)
        return (*self._first[: WARNINGS_MOST - 1], f"and {self._count - WARNINGS_MOST + 1} more such items")


class _Unreadable(Exception):
    """The answer is not as agreed."""


def read_answer(terms: Terms | None, records: Sequence[Told], reply: Reply) -> Verdicts:
    """Read an answer of status 2xx by the terms that were agreed; without terms, its status says it all."""
    if terms is None:
        return Verdicts(refusals=[None] * len(records))
    try:
        return _read(terms, records, _list(terms, len(records), reply))
    except _Unreadable as error:
        return Verdicts(refusals=[_invalid(str(error))] * len(records))


def _list(terms: Terms, records: int, reply: Reply) -> list[Any]:
    if reply.truncated:
        raise _Unreadable("the answer is longer than a batch's answer may be")
    if not reply.body.strip():
        raise _Unreadable("the answer is empty; it should tell of each record whether it was taken")
    if sum(map(reply.body.count, _BEFORE_VALUES)) > VALUES_LEAST + records * VALUES_PER_RECORD:
        raise _Unreadable("the answer tells of more than a batch's answer may")
    try:
        answer = decode(reply.body)
    except RetailOSError as error:
        raise _Unreadable(f"the answer can't be read: {error}") from None
    found = (follow(answer, way) for way in terms.lists)
    listed = next((each for each in found if type(each) is list), None)
    if listed is None:
        raise _Unreadable("the answer has no list of records where one was agreed")
    return listed


def _read(terms: Terms, records: Sequence[Told], items: Sequence[Any]) -> Verdicts:
    names = {} if terms.by_index else _names(records)
    found: dict[int, Refusal | None] = {}
    warnings = _Warnings()
    for position, item in enumerate(items):
        name = follow(item, terms.name)
        at = _index(name, len(records)) if terms.by_index else names.get(_text(name))
        if at is None:
            said = f"item {position} of the answer names no record of the batch"
            if terms.failures_only:
                # Some record has failed, and nobody can tell which.
                raise _Unreadable(said)
            warnings.add(said)
            continue
        verdict = _verdict(terms, item)
        if at not in found:
            found[at] = verdict
        elif (found[at] is None) is (verdict is None):
            warnings.add(f"item {position} of the answer names a record again")
        else:
            found[at] = _invalid("the answer both takes and refuses the record")
    unnamed = None if terms.failures_only else _UNNAMED
    return Verdicts(refusals=[found.get(at, unnamed) for at in range(len(records))], warnings=warnings.told)


def _names(records: Sequence[Told]) -> Mapping[str, int]:
    """Where in the batch a record is, by its id and, before any other's id, by its external id."""
    own = {str(each.id): at for at, each in enumerate(records)}
    return own | {each.external_id: at for at, each in enumerate(records)}


def _text(name: Any) -> str:
    """An id as text; receivers that keep numbers give numbers back."""
    return name if type(name) is str else str(name) if type(name) is int else ""


def _index(name: Any, count: int) -> int | None:
    text = _text(name)
    if len(text) < 5 and text.isascii() and text.isdigit() and int(text) < count:
        return int(text)
    return None


def _verdict(terms: Terms, item: Any) -> Refusal | None:
    error = follow(item, terms.error)
    if terms.statuses:
        return _by_status(error, item)
    if error is None and not terms.failures_only:
        return None
    return Refusal(error_class=ErrorClass.RECORD_REFUSED, detail=_detail(error), said=_said(item))


def _by_status(status: Any, item: Any) -> Refusal | None:
    text = _text(status)
    number = int(text) if len(text) == 3 and text.isascii() and text.isdigit() else 0
    if number not in range(100, 600):
        return _invalid("the answer gives the record no HTTP status", _said(item))
    error_class = class_of_status(number)
    if error_class is None:
        return None
    return Refusal(error_class=error_class, detail=f"the record's status is {number}", status=number, said=_said(item))


def _detail(error: Any) -> str:
    """The error in a few words: the receiver's own, where it has some."""
    if type(error) is dict:
        error = next((error[name] for name in ("message", "code") if type(error.get(name)) is str), None)
    return error[:DETAIL_LONGEST] if type(error) is str and error else "the answer names the record with an error"


def _said(item: Any) -> bytes:
    try:
        return _encode(item)[:SAID_LONGEST]
    except (ValueError, RecursionError):
        return b""


def _invalid(detail: str, said: bytes = b"") -> Refusal:
    return Refusal(error_class=ErrorClass.INVALID_BATCH_ANSWER, detail=detail, said=said)


_UNNAMED: Final = _invalid("the answer does not name the record")
