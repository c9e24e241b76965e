"""What the tests of the register share: outcomes, claims and settlements, and what a register says."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from retailos.database.pool import Connection, Pool, transaction
from retailos.deliveries import register
from retailos.deliveries.claim import Claim
from retailos.deliveries.outcome import Blame, Delivered, Failed, Held, Outcome, Retry, Skipped
from retailos.deliveries.settlement import Settlement
from retailos.exchanges.exchange import ErrorClass, Reply

DELIVERED: Final = Delivered()
RETRY: Final = Retry(after_seconds=60.0, error_class=ErrorClass.HTTP_5XX, blame=Blame.RECEIVER)
FAILED: Final = Failed(error_class=ErrorClass.HTTP_4XX, blame=Blame.RECORD)
HELD: Final = Held(error_class=ErrorClass.HTTP_5XX, blame=Blame.RECEIVER)
SKIPPED: Final = Skipped(acknowledged=False)


def settlement(claim: Claim, version: int, outcome: Outcome = DELIVERED) -> Settlement:
    """What an attempt of a claim came to."""
    reply = Reply(at=datetime.now(UTC), milliseconds=1.0, status=200 if outcome == DELIVERED else 500)
    return Settlement(claim=claim, version=version, outcome=outcome, request_id=uuid4(), url="https://x", reply=reply)


async def claim(pool: Pool, webhook: int, worker: int, most: int = 100) -> list[Claim]:
    """Claim under a new token."""
    return await register.claim(pool, webhook, most, worker, uuid4())


async def settle(pool: Pool, webhook: int, settlements: Sequence[Settlement], doubt_seconds: float = 90.0) -> int:
    """Settle, with a doubt of a minute and a half where one is left, and wait for what others have locked."""
    held, busy = await register.settle(pool, webhook, settlements, doubt_seconds)
    if busy:
        rest = [settlements[at] for at in busy]
        held += (await register.settle(pool, webhook, rest, doubt_seconds, careful=True)).held
    return held


async def owe(connection: Connection, webhook: int, rows: Sequence[Any], **how: Any) -> int:
    """Owe records, given with their versions."""
    return await register.owe(connection, webhook, [row["id"] for row in rows], [row["version"] for row in rows], **how)


async def state(pool: Pool, record_id: UUID) -> dict[str, Any]:
    """A register, and in how many seconds it is due: None if it is not, infinity if never."""
    row = await pool.fetchrow(
        "select delivery.*, extract(epoch from due_at - now())::float8 as due from delivery"
        " left join due using (webhook_id, record_id) where record_id = $1",
        record_id,
    )
    assert row is not None
    return dict(row)


async def over(pool: Pool) -> None:
    """Let every doubt be over, and what waits for it due."""
    await pool.execute("update delivery set doubt_until = now() - interval '1 ms' where doubt_until is not null")
    await pool.execute("update due set due_at = now()")


async def rescued(pool: Pool, leaving: int | None = None) -> dict[str, int]:
    """Rescue what dead workers had claimed."""
    async with transaction(pool) as connection:
        return await register.rescue(connection, 60.0, leaving=leaving)
