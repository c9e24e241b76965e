"""What receivers do, each with what a sender of webhooks should make of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from conformance.plays import (
    ANSWERING,
    BABBLING,
    BREAKING_OFF,
    ENDLESS,
    LINGERING,
    SPOILING,
    Play,
    answering,
    black_hole,
    hang,
    well,
)


class Should(StrEnum):
    """What the sender should do after a receiver behaved so."""

    AGAIN = "send it again, until it is acknowledged"
    #: For receivers that are never well, since to be so they would need a certificate.
    RETURN = "try again later"
    #: Where a request may be applied after the sender gave it up, over what was acknowledged since.
    CONFIRM = "send it again, and once more when what it gave up can't be applied any more"
    DONE = "take it for delivered"
    STOP = "send nothing more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """One thing that a receiver does to those who come first; it is well for all after them."""

    name: str
    play: Play
    should: Should
    why: str
    #: Seconds that it asked to be left alone for.
    patience_seconds: float = 0.0
    #: It says nothing more, or never comes to an end: the sender's own timeout has to end it.
    holds: bool = False
    #: Seconds at the beginning in which nobody listens.
    away_seconds: float = 0.0
    scheme: str = "http"


#: Any redirect leads here, and nobody should follow.
ELSEWHERE: Final = "/elsewhere"
REFUSAL: Final = b'{"error": {"code": "INVALID_CUSTOMER", "message": "no such title", "details": []}}'


def every() -> tuple[Behaviour, ...]:
    """All of them."""
    return (
        *_answers(),
        *_of(ENDLESS, Should.DONE, "The status is known; the rest of the body need not be read.", holds=True),
        *_of(BREAKING_OFF, Should.AGAIN, "An answer that breaks off is no answer, whatever it began with."),
        *_of(BABBLING, Should.AGAIN, "What is no HTTP acknowledges nothing."),
        *_of(LINGERING, Should.AGAIN, "The timeout is for the whole exchange, not for each byte.", holds=True),
        Behaviour(
            name="a request that is applied late",
            play=black_hole,
            should=Should.CONFIRM,
            why="What is applied last is what stays, and that may be the request that was given up.",
            holds=True,
        ),
        *_statuses(),
        *_asking_for_patience(),
        *_redirects(),
        *_at_the_door(),
    )


def _of(plays: Mapping[str, Play], should: Should, why: str, *, holds: bool = False) -> Iterator[Behaviour]:
    for name, play in plays.items():
        yield Behaviour(name=name, play=play, should=should, why=why, holds=holds)


#: Those of the odd answers that are no success.
_NO_SUCCESS: Final = frozenset(
    {
        "a status that nobody knows",
        "switching protocols",
        "a redirect",
        "html",
        "an answer before the body was read",
    }
)


def _answers() -> Iterator[Behaviour]:
    for name, play in ANSWERING.items():
        should = Should.AGAIN if name in _NO_SUCCESS else Should.DONE
        yield Behaviour(name=name, play=play, should=should, why="An odd answer is an answer: its status counts.")
    yield Behaviour(
        name="200 that tells of an error",
        play=answering(200, REFUSAL),
        should=Should.DONE,
        why="Where nothing else was agreed on, 2xx is a success whatever the body.",
    )


def _statuses() -> Iterator[Behaviour]:
    for status in (400, 401, 403, 404, 408, 409, 413, 422, 425, 500, 501, 502, 503, 504, 507, 520):
        yield Behaviour(
            name=f"{status} with JSON",
            play=answering(status, REFUSAL, b"Content-Type: application/json"),
            should=Should.AGAIN,
            why="Only a 2xx acknowledges.",
        )
    yield Behaviour(
        name="410 Gone", play=answering(410), should=Should.STOP, why="The receiver says that it wants no more."
    )


def _asking_for_patience() -> Iterator[Behaviour]:
    for status in (429, 503):
        yield Behaviour(
            name=f"{status} with Retry-After",
            play=answering(status, b"", b"Retry-After: 3"),
            should=Should.AGAIN,
            why="It says when it can take more.",
            patience_seconds=3.0,
        )
    for name, value in (("a Retry-After that is none", b"soon"), ("a Retry-After of a thousand digits", b"9" * 1_000)):
        yield Behaviour(
            name=name,
            play=answering(503, b"", b"Retry-After: " + value),
            should=Should.AGAIN,
            why="What can't be understood asks for nothing.",
        )


def _redirects() -> Iterator[Behaviour]:
    for status in (301, 303, 307, 308):
        yield Behaviour(
            name=f"{status} to elsewhere",
            play=answering(status, b"", b"Location: " + ELSEWHERE.encode()),
            should=Should.AGAIN,
            why="Credentials and personal data go where they were told to go, and nowhere else.",
        )


def _at_the_door() -> Iterator[Behaviour]:
    yield Behaviour(
        name="nobody listens",
        play=well,
        should=Should.AGAIN,
        why="A receiver may be away for a while.",
        away_seconds=2.0,
    )
    for name, play in SPOILING.items():
        why = "Where TLS was asked for, nothing is sent without it."
        yield Behaviour(name=name, play=play, should=Should.RETURN, why=why, scheme="https", holds=play is hang)
