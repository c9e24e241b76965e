"""R12: answers are lost on their way, and what is sent again under its Idempotency-Key has one effect."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from retailos.database.pool import Connection
from tests.conftest import eventually
from tests.reliability import stand
from tests.reliability.apis import Answered, Apis, serving

REQUESTS = 500
AT_ONCE = 20
#: A request is sent so often without its answer being read, at most.
LOST_MOST = 3

ONE_EACH: Final = """
select (select count(*) from customers), (select count(distinct body->>'lastName') from customers),
    (select count(*) from change), (select count(*) from job), (select count(*) from answer)
"""


class Senders:
    """Send requests, lose answers, send again, and compare what comes of it."""

    def __init__(self, apis: Apis, random: Random) -> None:
        self.done = 0
        #: Requests that were sent, and whose answers nobody read.
        self.lost = 0
        self.differing: list[str] = []
        self._apis, self._random = apis, random

    async def run(self) -> None:
        """Send every request until it is answered, and once more."""
        numbers = iter(range(REQUESTS))
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._send_each(numbers))

    async def reached(self, done: int) -> None:
        """Return as soon as so many requests are done with."""
        await eventually(lambda: self.done >= done, within_seconds=stand.START_SECONDS)

    async def _send_each(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            body = {"firstName": "Ada", "lastName": f"Lovelace {number}"}
            for _ in range(self._random.randint(1, LOST_MOST)):
                await self._lose(number, body)
            first = await self._answered(number, body)
            again = await self._answered(number, body)
            if (first.result, True) != (again.result, again.replayed):
                self.differing.append(f"{first} {again}")
            self.done += 1

    async def _answered(self, number: int, body: dict[str, Any]) -> Answered:
        async def look() -> Answered | None:
            answer = await self._apis.send("POST", "/customers", body, {"Idempotency-Key": f"key-{number}"})
            return answer if answer and answer.status == 201 else None

        found = await eventually(look, within_seconds=stand.START_SECONDS)
        assert found
        return found

    async def _lose(self, number: int, body: dict[str, Any]) -> None:
        """Send the request, and hang up: at once, when the answer begins to come, or politely and without listening."""
        content = msgspec.json.encode(body)
        head = (
            f"POST /v2/public/customers HTTP/1.1\r\nHost: x\r\nAuthorization: API_KEY {self._apis.key}\r\n"
            f"Idempotency-Key: key-{number}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        # While one process is killed and until the next one serves, there is nobody to hang up on.
        with suppress(ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(self._apis.address).port)
            writer.write(head.encode() + content)
            self.lost += 1
            match self._random.randrange(3):
                case 0:
                    writer.transport.abort()
                case 1:
                    await reader.read(1)
                    writer.transport.abort()
                case _:
                    writer.close()


async def test_what_is_sent_again_has_one_effect(database: str, connection: Connection) -> None:
    """Five hundred requests whose answers are lost, some with the process that made them, make 500 records."""
    seed = stand.seed()
    random = Random(seed)
    async with serving(database, kills=1) as apis:
        senders = Senders(apis, random)
        sending = asyncio.create_task(senders.run())
        await senders.reached(random.randrange(REQUESTS // 2))
        await apis.replace()
        await sending
    figures = f"seed {seed}: {senders.done} requests, {senders.lost} answers lost"
    print(figures)
    assert (senders.done, senders.differing, apis.strange) == (REQUESTS, [], []), figures
    assert tuple(await connection.fetchrow(ONE_EACH) or ()) == (REQUESTS,) * 5, figures
    assert [each.defects for each in apis.all if each.defects] == []
