"""R2: the API is killed while it is being written to, and what it acknowledged is there, whole."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from random import Random
from typing import Any, Final

from retailos.database.pool import Connection
from tests.conftest import eventually
from tests.reliability import stand
from tests.reliability.apis import Answered, Apis, serving
from tests.reliability.checker import Told

KILLS = 10
RECORDS = 300
#: Senders of each kind at once.
SINGLE, TOGETHER, ACCEPTED, KEYED = 8, 2, 1, 6
#: Records of a request that has many.
MANY = 20
#: A process is killed after so many acknowledged requests, at most.
REQUESTS_MOST = 120
REST_SECONDS = 60.0

#: A webhook that nobody serves: what it is owed stays as it was written.
WEBHOOK: Final = """
insert into webhook (name, resource, settings, active, created_at, updated_at)
values ('erp', 'customer', '{"url": "https://erp.example"}', true, now(), now())
"""
#: Records that lack a change of one of their versions, or of which a webhook is not owed the last one.
HALF_WRITTEN: Final = """
select external_id from customers as r
where array(select version from change where record_id = r.id order by version) <> array(
        select generate_series(1, r.version)
    )
    or not exists (select from delivery where record_id = r.id and wanted = r.version)
"""
#: Acknowledged jobs ($1) that are not there once and completed.
JOBS_MISSING: Final = """
select told.id from unnest($1::uuid[]) as told(id)
where (select array_agg(status) from job where job.id = told.id) is distinct from array['completed']
"""
MISCOUNTED: Final = "select (select sum(delta) from tally) - (select count(*) from customers)"
#: How many records of each request there are: their external ids begin with its name.
OF_REQUESTS: Final = (
    "select split_part(external_id, '.', 1), count(*) from customers where external_id like $1 group by 1"
)
OF_KEYS: Final = "select body->>'lastName', count(*) from customers where body->>'firstName' = 'Keyed' group by 1"
QUEUED: Final = "select count(*) from queued"


class Senders:
    """Who sends what, and what they were told."""

    def __init__(self, apis: Apis, random: Random) -> None:
        self.told: list[Told] = []
        self.jobs: list[str] = []
        #: Requests with many records that were acknowledged, by their names.
        self.whole: list[str] = []
        self.keys: list[str] = []
        self.answered = 0
        self.stopped = False
        self._apis, self._random, self._numbers = apis, random, count(1)

    async def run(self) -> None:
        """Send until told to stop."""
        kinds = {self.single: SINGLE, self.together: TOGETHER, self.accepted: ACCEPTED, self.keyed: KEYED}
        async with asyncio.TaskGroup() as group:
            for send, amount in kinds.items():
                for _ in range(amount):
                    group.create_task(self._again_and_again(send))

    async def reached(self, answered: int) -> None:
        """Return as soon as so many requests in all were answered."""
        await eventually(lambda: self.answered >= answered, within_seconds=stand.START_SECONDS)

    async def _again_and_again(self, send: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        while not self.stopped:
            await send(str(next(self._numbers)))
            self.answered += 1

    async def single(self, number: str) -> None:
        """One record, changed."""
        record = f"c-{self._random.randrange(RECORDS)}"
        answer = await self._apis.send("PUT", f"/customers/{record}", {"firstName": "Ada", "lastName": number})
        if answer:
            [job] = answer.result
            self.told.append(Told(record, job["version"]))
            self.jobs.append(job["id"])

    async def together(self, number: str) -> None:
        """Many new records, all or none."""
        name = f"all-{number}"
        answer = await self._apis.send("PUT", "/customers?errorPolicy=rejectEverything", _many(name))
        self._note(name, answer)

    async def accepted(self, number: str) -> None:
        """Many new records, to be written later."""
        name = f"later-{number}"
        answer = await self._apis.send("PUT", "/customers", _many(name), {"Prefer": "respond-async"})
        self._note(name, answer)

    async def keyed(self, number: str) -> None:
        """One new record under a key, sent until it is answered."""
        self.keys.append(number)
        body, headers = {"firstName": "Keyed", "lastName": number}, {"Idempotency-Key": number}

        async def made() -> bool:
            answer = await self._apis.send("POST", "/customers", body, headers)
            return answer is not None and answer.status == 201

        await eventually(made, within_seconds=stand.START_SECONDS)

    def _note(self, name: str, answer: Answered | None) -> None:
        if answer:
            self.whole.append(name)
            self.jobs.extend(job["id"] for job in answer.result)


def _many(name: str) -> dict[str, Any]:
    return {"customers": [{"externalCustomerId": f"{name}.{i}", "firstName": "Ada"} for i in range(MANY)]}


async def _of(connection: Connection, statement: str, *values: object) -> dict[str, int]:
    return {row[0]: row[1] for row in await connection.fetch(statement, *values)}


async def test_a_killed_api_has_written_what_it_acknowledged_and_nothing_by_halves(
    database: str, connection: Connection
) -> None:
    """Ten kills amid writes of every kind lose nothing that was answered, and leave nothing half done or done twice."""
    seed = stand.seed()
    random = Random(seed)
    await connection.execute(WEBHOOK)
    async with serving(database, kills=KILLS) as apis:
        senders = Senders(apis, random)
        sending = asyncio.create_task(senders.run())
        for _ in range(KILLS):
            await senders.reached(senders.answered + random.randrange(REQUESTS_MOST))
            await apis.replace()
        senders.stopped = True
        await sending
        await eventually(lambda: _none_queued(connection), within_seconds=REST_SECONDS)
        findings = await stand.judge(database, (), senders.told, ())
    requests = await _of(connection, OF_REQUESTS, "all-%") | await _of(connection, OF_REQUESTS, "later-%")
    keys = await _of(connection, OF_KEYS)
    figures = (
        f"seed {seed}: {len(senders.told)} told, {len(senders.whole)} of {len(requests)} requests, {len(keys)} keys"
    )
    print(figures)
    assert findings.missing == (), f"{figures}\n  {findings.report()}"
    assert await connection.fetch(JOBS_MISSING, senders.jobs) == []
    assert set(senders.whole) - requests.keys() == set()
    assert {name: each for name, each in requests.items() if each != MANY} == {}
    assert {key: keys.get(key) for key in senders.keys if keys.get(key) != 1} == {}
    assert await connection.fetch(HALF_WRITTEN) == []
    assert await connection.fetchval(MISCOUNTED) == 0
    assert (apis.strange, [each.defects for each in apis.all if each.defects]) == ([], [])


async def _none_queued(connection: Connection) -> bool:
    return bool(await connection.fetchval(QUEUED) == 0)
