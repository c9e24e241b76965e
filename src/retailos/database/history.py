"""History is kept by the day: days are made ahead, and dropped whole when their time is over."""

from collections.abc import Mapping

from retailos.database.pool import Pool, acquire
from retailos.database.statements import load

_SQL = load(__file__)
_MAKE_DAYS, _DROP = _SQL.make_days, _SQL.drop


async def make_days(pool: Pool) -> None:
    """Make the history's partitions of the days to come."""
    async with acquire(pool) as connection:
        await connection.execute(_MAKE_DAYS)


async def drop(pool: Pool, kept_days: Mapping[str, int]) -> None:
    """Drop of each table what is of other days than today and the last so many; the default partitions' share too.

    Raises Unavailable where others are in the way: they are not made to wait, and a later call goes on.
    """
    for table, days in kept_days.items():
        dropped = True
        while dropped:
            async with acquire(pool) as connection:
                dropped = await connection.fetchval(_DROP, table, days)
