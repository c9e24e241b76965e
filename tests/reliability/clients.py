"""Clients of the fault tests: many at a time they write customers over HTTP, and note what they were told."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import quote

import msgspec
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.response import Response

from tests.conftest import eventually
from tests.reliability.checker import Told

#: Writes under way at once.
AT_ONCE = 32


class Clients:
    """What so many clients wrote, and were told."""

    def __init__(self, client: Client, name: str) -> None:
        self.told: list[Told] = []
        #: Answers with 503 in the envelope and Retry-After, as they should be while the database is away.
        self.refused = 0
        #: Any other answer that is no success, or a 503 that is not as it should be.
        self.strange: list[str] = []
        self._client, self._name = client, name
        self._values = count(1)
        self._waiting = asyncio.Lock()

    async def write(self, records: Iterable[str]) -> None:
        """Change each of these customers, one that is named twice twice; what is refused for now is sent again."""
        remaining = iter(records)
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._write_on(remaining))

    async def feed(self, records: Sequence[str], at_once: int = 1_000) -> None:
        """Change each of these customers, many with each request."""
        for start in range(0, len(records), at_once):
            fields = {"firstName": "Ada", "lastName": f"{self._name} {next(self._values)}"}
            customers = [{"externalCustomerId": each, **fields} for each in records[start : start + at_once]]
            body = {"customers": customers}
            answer = await self._client.put("/v2/public/customers").body_json(body).build().send()
            assert answer.status == 200, await answer.text()

    async def reached(self, acknowledged: int) -> None:
        """Return as soon as so many writes in all were answered 2xx."""
        await eventually(lambda: len(self.told) >= acknowledged)

    async def add_webhook(self, name: str, url: str, **values: object) -> int:
        """Save a webhook for customers whose requests go to `/name/externalId` there, batches to `/name`; its id.

        What a busy machine answers too late is sent again soon.
        """
        to = f"{url}/{quote(name, safe='')}" + ("" if "batchSize" in values else "/{externalCustomerId}")
        body = {"name": name, "resource": "customer", "url": to, "method": "PUT", "retryDelay": 1} | values
        answer = await self._client.post("/v2/admin/webhooks").body_json(body).build().send()
        assert answer.status == 201, await answer.text()
        return int((await answer.json())["result"]["id"])

    async def post(self, path: str, body: Mapping[str, Any]) -> None:
        """Make something of the administration's."""
        answer = await self._client.post(path).body_json(body).build().send()
        assert answer.status == 201, await answer.text()

    async def change_webhook(self, webhook: int, **values: object) -> None:
        """Change some of a webhook's values."""
        answer = await self._client.put(f"/v2/admin/webhooks/{webhook}").body_json(values).build().send()
        assert answer.status == 200, await answer.text()

    async def administer(self, method: str, path: str, body: object = None) -> Any:
        """Ask the admin API for something that it grants; the result."""
        request = self._client.request(method, f"/v2/admin{path}")
        answer = await (request if body is None else request.body_json(body)).build().send()
        assert answer.status == 200, await answer.text()
        return (await answer.json())["result"]

    async def _write_on(self, remaining: Iterator[str]) -> None:
        for record in remaining:
            if not await self._put(record):
                # One asks whether it goes again, for all: what they would send meanwhile tells nobody anything.
                async with self._waiting:
                    await eventually(partial(self._served, record))

    async def _served(self, record: str) -> bool:
        return await self._list() and await self._put(record)

    async def _list(self) -> bool:
        """Ask for a page of customers; False if that was refused."""
        return await self._judge(await self._client.get("/v2/public/customers?limit=1").build().send())

    async def _put(self, record: str) -> bool:
        """Write a value that the record never had; False if that was refused, so that nobody knows whether it was."""
        body = {"firstName": "Ada", "lastName": f"{self._name} {next(self._values)}"}
        answer = await self._client.put(f"/v2/public/customers/{record}").body_json(body).build().send()
        done = await self._judge(answer)
        if answer.status == 200:
            self.told.append(Told(record, (await answer.json())["result"][0]["version"]))
        return done

    async def _judge(self, answer: Response) -> bool:
        """Tell whether an answer is final, and count it unless it is a success."""
        if answer.status == 200:
            return True
        text = await answer.text()
        if answer.status == 503 and _is_refusal(answer, msgspec.json.decode(text)):
            self.refused += 1
        else:
            self.strange.append(f"{answer.status}: {text} with {list(answer.headers.items())}")
        return answer.status != 503


def _is_refusal(answer: Response, envelope: Mapping[str, Any]) -> bool:
    """Tell whether a 503 is the envelope, and says when to come again."""
    told = (envelope["statusCode"], envelope["error"]["code"], envelope["result"])
    return told == (503, "UNAVAILABLE", None) and int(answer.get_header("retry-after") or 0) > 0


@asynccontextmanager
async def clients_of(url: str, key: str, name: str = "Lovelace") -> AsyncIterator[Clients]:
    """Clients of the API at a URL; of several that write to the same records, each must have a name of its own."""
    builder = ClientBuilder().base_url(url).no_proxy().http1_only().default_headers({"Authorization": f"API_KEY {key}"})
    async with builder.build() as client:
        yield Clients(client, name)
