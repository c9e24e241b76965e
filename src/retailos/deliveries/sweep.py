"""The sweep: a second look at everything, a little at a time, for what is owed and that nobody would come across."""

import asyncio
from itertools import groupby
from uuid import UUID

from retailos.database.pool import Pool, acquire
from retailos.database.statements import load
from retailos.declare.resource import Resource, Resources
from retailos.deliveries import register
from retailos.observe import emit
from retailos.observe.deliveries import DeliveriesFound
from retailos.records.bypassed import bypassed

_SQL = load(__file__)
_ARM_LOST = _SQL.arm_lost

#: Registers or records that one statement looks at: some ten milliseconds.
LOOK_MOST = 5_000
#: Between two of them, so that a million takes half a minute and a twentieth of a processor.
PAUSE_SECONDS = 0.1
_FIRST = UUID(int=0)


async def sweep(pool: Pool, late_seconds: float, *, look_most: int = LOOK_MOST) -> int:
    """Arm again all that is owed and neither due nor claimed; give how much that was: nothing, unless by a defect."""
    armed, place = 0, (0, _FIRST)
    while True:
        async with acquire(pool) as connection:
            row = await connection.fetchrow(_ARM_LOST, *place, look_most, late_seconds)
        if row is not None:
            armed, place = armed + row["armed"], (row["webhook_id"], row["record_id"])
        if row is None or row["looked"] < look_most:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    if armed:
        emit(DeliveriesFound(count=armed, reason="owed, and neither due nor claimed"))
    return armed


async def compare(pool: Pool, resources: Resources, *, look_most: int = LOOK_MOST) -> int:
    """Owe what was written past the program, whose version no register has; give how much that was.

    A change by somebody's own SQL is found if it raised the record's version and moved its updated_at.
    """
    found = 0
    for resource in resources.values():
        place: UUID | None = _FIRST
        while place is not None:
            place, owed = await _compare_some(pool, resource, place, look_most)
            found += owed
            await asyncio.sleep(PAUSE_SECONDS if place else 0)
    if found:
        emit(DeliveriesFound(count=found, reason="written past the program"))
    return found


async def _compare_some(pool: Pool, resource: Resource, place: UUID, look_most: int) -> tuple[UUID | None, int]:
    """Compare the next records; give where to go on, None at the end, and how many deliveries were missing."""
    owed = 0
    async with acquire(pool) as connection:
        rows = await connection.fetch(bypassed(resource), place, look_most)
        missing = [row for row in rows if row["webhook_id"] is not None]
        for webhook_id, of_it in groupby(missing, key=lambda row: row["webhook_id"]):
            each = list(of_it)
            ids, versions = [row["record_id"] for row in each], [row["version"] for row in each]
            owed += await register.owe(connection, webhook_id, ids, versions, again=False)
    return (rows[0]["last"] if rows[0]["looked"] == look_most else None), owed
