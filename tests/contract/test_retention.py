"""History goes when its time is over; what a webhook is owed does not go with it."""

from typing import Final

from retailos.database import history
from retailos.database.pool import Connection
from retailos.receiver import Behaviour, Receiver
from retailos.timetable import kept_days
from tests.contract.conftest import Api
from tests.contract.delivering import delivery, settled, webhook, working

#: Tables of the history, each with the column that says of which day a row is.
MOMENTS: Final = {"change": "at", "attempt": "at", "batch": "at", "job": "created_at"}
ADA: Final = {"firstName": "Ada"}


async def drop_all(api: Api, connection: Connection) -> None:
    """Let all that happened be long ago, and drop it as the timetable does, by the settings."""
    for table, column in MOMENTS.items():
        await connection.execute(f"update {table} set {column} = '2020-01-01 12:00Z'")
    await history.drop(api.engine.pool, kept_days(api.engine.settings))
    for table in MOMENTS:
        assert await connection.fetchval(f"select count(*) from {table}") == 0, table


async def test_what_is_owed_outlives_its_history(api: Api, connection: Connection) -> None:
    """A delivery that is owed arrives though its change is forgotten; one that failed stays failed until requeued."""
    async with Receiver.listen(behaviour=Behaviour(status=400)) as receiver:
        made = await webhook(api, receiver, retryLimit=0)
        batches = await webhook(api, receiver, name="batches", url=f"{receiver.url}/all", batchSize=9, retryLimit=0)
        each = await webhook(api, receiver, name="every", url=f"{receiver.url}/every/{{id}}", sends="every")
        async with working(api):
            await api.put("/customers/failed", ADA)
            for one in (made, batches, each):
                await settled(api, one, "failed", "failed")
        await api.put("/customers/owed", ADA)
        await drop_all(api, connection)
        for one in (made, batches, each):
            for name, status in (("failed", "failed"), ("owed", "owed")):
                shown = await delivery(api, one, name)
                assert (shown["status"], shown["acknowledged"], shown["wanted"]) == (status, 0, 1)
                assert shown["attemptHistory"] == []
        receiver.behave(Behaviour())
        async with working(api):
            for one in (made, batches, each):
                await settled(api, one, "owed")
                assert (await delivery(api, one, "failed"))["status"] == "failed"
            for one in (made, batches, each):
                answer = await api.admin("POST", "/requeues", json={"webhook": one})
                assert answer.result["count"] == 1
                assert (await settled(api, one, "failed"))["acknowledged"] == 1
