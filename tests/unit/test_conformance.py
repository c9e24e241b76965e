"""The suite of hostile receivers tells senders that do what they should from those that do not."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from conformance.__main__ import table
from conformance.behaviours import ELSEWHERE, Behaviour, Should, every
from conformance.judge import TAKEN_MOST, Told, misses
from conformance.line import Asked, Visit
from conformance.plays import OK, saying
from conformance.suite import Patience, run

TOLD = Told(timeout=2.0)


def behaviour(should: Should = Should.AGAIN, **fields: Any) -> Behaviour:
    """A behaviour after which a sender should do this."""
    return Behaviour(name="it", play=saying(OK), should=should, why="", **fields)


def visit(at: float, until: float, *, well: bool = False, target: str = "/", taken: int = 0) -> Visit:
    """A connection with one request on it, in seconds."""
    asked = Asked(method="PUT", target=target, headers={}, at=at, until=until)
    return Visit(well=well, opened=at, closed=until, taken=taken, asked=[asked])


HOSTILE = visit(0, 1)
WELL = visit(5, 6, well=True)


@pytest.mark.parametrize(
    ("of", "visits", "missed"),
    [
        (behaviour(), [HOSTILE, WELL], ""),
        (behaviour(), [], "nothing came"),
        (behaviour(), [HOSTILE], "not sent again"),
        (behaviour(), [visit(0, 5.5), WELL], "at once"),
        (behaviour(), [HOSTILE, visit(2, 3, well=True, target=ELSEWHERE)], f"{ELSEWHERE} was asked for"),
        (behaviour(Should.CONFIRM), [HOSTILE, WELL], "not once more"),
        (behaviour(Should.CONFIRM), [HOSTILE, WELL, visit(8, 9, well=True)], ""),
        (behaviour(Should.DONE), [HOSTILE], ""),
        (behaviour(Should.DONE), [HOSTILE, WELL], "it was sent 2 times"),
        (behaviour(Should.STOP), [HOSTILE, WELL], "it was sent 2 times"),
        (behaviour(Should.RETURN), [HOSTILE], "nobody came again"),
        (behaviour(Should.RETURN), [HOSTILE, visit(5, 6)], ""),
        (behaviour(patience_seconds=4), [HOSTILE, WELL], ""),
        (behaviour(patience_seconds=9), [HOSTILE, WELL], "it came after 4.0 s"),
        (behaviour(holds=True), [visit(0, 2), WELL], ""),
        (behaviour(holds=True), [visit(0, 1), WELL], "it gave up after 1.0 s"),
        (behaviour(holds=True), [visit(0, 4), WELL], "it held on for 4.0 s"),
        (behaviour(Should.DONE, holds=True), [visit(0, 0.1)], ""),
        (behaviour(Should.DONE, holds=True), [visit(0, 0.1, taken=2 * TAKEN_MOST)], "it read 34 MB"),
    ],
)
def test_each_miss_is_found(of: Behaviour, visits: list[Visit], missed: str) -> None:
    """What came on the wire decides: what was missed is said, and what was not is not."""
    found = misses(of, visits, TOLD, 10.0)
    assert len(found) == (1 if missed else 0), found
    assert missed in "".join(found)


@dataclass(slots=True)
class Careless:
    """A sender that sends everything twice, at once, and reads no answer."""

    urls: list[str] = field(default_factory=list)

    async def point(self, name: str, url: str) -> None:
        """Note a URL."""
        self.urls.append(url)

    async def write(self) -> None:
        """Send to all of them."""
        await asyncio.gather(*map(self._send, self.urls * 2))

    async def _send(self, url: str) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        writer.write(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        await writer.drain()
        writer.close()


async def test_a_careless_sender_is_found_out() -> None:
    """Who sends all twice and reads no answer meets few behaviours as it should, and the table says which it missed."""
    names = ("chunked", "410 Gone", "429 with Retry-After", "500 with JSON")
    results = await run(
        [each for each in every() if each.name in names], Careless(), TOLD, Patience(most=1.0, quiet=0.1)
    )
    missed = {each.behaviour.name for each in results if each.misses}
    assert missed == {"chunked", "410 Gone", "429 with Retry-After"}
    assert table(results).endswith("1 of 4 behaviours are met as they should be")


def test_behaviours_have_names_of_their_own() -> None:
    """A sender can name what it is told of after the behaviour, and there are more than forty of them."""
    names = [each.name for each in every()]
    assert len(set(names)) == len(names) > 40
    assert all(each.isprintable() and len(each) <= 100 for each in names)
