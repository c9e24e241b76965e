"""Statistics: what settlements have counted is what came of deliveries, and folding and reading keep every count."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from retailos.database.pool import Connection
from retailos.deliveries import statistics
from retailos.receiver import Behaviour, Received, Receiver
from tests.conftest import eventually
from tests.contract.conftest import Api, check_envelope
from tests.contract.delivering import webhook, working

COUNTS = ("delivered", "failed", "retried", "skipped")


def refused(received: Received) -> Behaviour:
    """Refuse every customer whose id ends in an odd digit."""
    return Behaviour(status=400 if int(received.path[-1]) % 2 else 200)


async def read(api: Api, query: str = "") -> Sequence[dict[str, Any]]:
    """What the statistics tell."""
    answer = await api.admin("GET", f"/statistics{query}")
    assert answer.status == 200, answer.body
    rows: list[dict[str, Any]] = answer.result["rows"]
    return rows


def total(rows: Sequence[dict[str, Any]]) -> tuple[int, ...]:
    """All counts of all steps."""
    return tuple(sum(row[name] for row in rows) for name in COUNTS)


async def test_what_is_counted_is_what_came_of_deliveries(api: Api, connection: Connection) -> None:
    """Each delivery that went well, failed or was put off is counted once, by webhook, with how long it took."""
    async with Receiver.listen(behaviour=refused) as receiver, Receiver.listen() as other:
        ids = [
            await webhook(api, receiver, name="odd", retryLimit=1, retryDelay=0.1),
            await webhook(api, other, name="all"),
        ]
        for number in range(10):
            await api.put(f"/customers/c-{number}", {"firstName": "Ada"})
        async with working(api):
            done = "select count(*) = 20 from delivery where status in ('delivered', 'failed')"
            assert await eventually(lambda: connection.fetchval(done))
    assert total(await read(api, f"?webhook={ids[0]}")) == (5, 5, 5, 0)
    assert total(await read(api, f"?webhook={ids[1]}")) == (10, 0, 0, 0)
    rows = await read(api)
    assert total(rows) == (15, 5, 5, 0)
    assert all(0 < row["lagMean"] <= row["lagMost"] < 60 for row in rows if row["delivered"])
    attempts = await connection.fetchrow(
        "select count(*) filter (where status = 200), count(*) filter (where status = 400) from attempt"
    )
    assert attempts is not None
    assert tuple(attempts) == (15, 10)


async def counted(connection: Connection, webhook_id: int, ago: str, delivered: int, lag: float) -> None:
    """What one settlement would have counted a while ago."""
    insert = (
        "insert into delivery_minute values ($1, date_trunc('minute', now() - $2::text::interval), $3, 1, 2, 3, $4, $4)"
    )
    await connection.execute(insert, webhook_id, ago, delivered, lag)


async def test_folding_keeps_every_count(api: Api, connection: Connection) -> None:
    """Rows of one webhook and minute become one, whose sums are theirs; those of minutes under way stay as they are."""
    for ago in ("30 minutes", "10 minutes", "0 minutes"):
        for webhook_id in (1, 2):
            for settlement in range(5):
                await counted(connection, webhook_id, ago, settlement, settlement / 2)
    before = await read(api)
    await statistics.fold(api.engine.pool)
    assert await read(api) == before
    assert total(before) == (60, 30, 60, 90)
    rows = "select count(*) from delivery_minute where at {} now() - interval '2 minutes'"
    assert await connection.fetchval(rows.format("<")) == 4
    assert await connection.fetchval(rows.format(">=")) == 10
    assert before[0]["lagMost"] == 2.0
    assert before[0]["lagMean"] == pytest.approx(0.5)


async def test_steps_are_added_up(api: Api, connection: Connection) -> None:
    """Longer steps hold what their minutes hold, nothing outside the span is told, and empty steps are left out."""
    for ago in ("5 hours", "70 minutes", "50 minutes", "49 minutes", "5 minutes"):
        await counted(connection, 1, ago, 1, 0.1)
    assert len(await read(api)) == 3
    assert total(await read(api, "?step=60")) == (3, 3, 6, 9)
    now = datetime.now(UTC)
    span = [quote(each.isoformat()) for each in (now - timedelta(hours=6), now + timedelta(minutes=1))]
    rows = await read(api, f"?from={span[0]}&to={span[1]}&step=1440")
    assert [total(rows), len(rows)] == [(5, 5, 10, 15), 1]
    assert await read(api, f"?from={span[0]}&to={span[1]}&webhook=2") == []


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("from=yesterday", "from"),
        ("step=0", "step"),
        ("step=1441", "step"),
        ("webhook=x", "webhook"),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
        ("from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z", "step"),
        ("minutes=5", "minutes"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(shop: Api, query: str, path: str) -> None:
    """What is wrong with a span or a step is told."""
    answer = await shop.admin("GET", f"/statistics?{query}")
    errors = check_envelope(answer, 400)["error"]["details"]["errors"]
    assert [each["path"] for each in errors] == [path]
