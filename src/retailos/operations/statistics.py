"""Statistics of deliveries, for pages and for whoever watches."""

from datetime import datetime, timedelta

import msgspec

from retailos.database.pool import Pool
from retailos.deliveries import statistics
from retailos.deliveries.statistics import STEPS_MOST, Step
from retailos.errors import Problem, ValidationFailed

#: What is read unless a beginning is told.
USUAL = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class Statistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of deliveries from one moment until another; steps in which nothing happened are left out."""

    step_minutes: int
    rows: tuple[Step, ...]


async def read_statistics(
    pool: Pool, webhook_id: int | None, begin: datetime | None, end: datetime | None, step_minutes: int
) -> Statistics:
    """Read what came of deliveries of a webhook, or of all: of the last hour, unless told."""
    end = end or await statistics.now(pool) + MINUTE
    begin = (begin or end - USUAL).replace(second=0, microsecond=0)
    steps = (end - begin) / (step_minutes * MINUTE)
    if steps <= 0:
        raise ValidationFailed([Problem("from", "OUT_OF_RANGE", "expected a moment before `to`")])
    if steps > STEPS_MOST:
        message = f"expected at most {STEPS_MOST:,} steps from `from` to `to`, got {steps:,.0f}; take longer steps"
        raise ValidationFailed([Problem("step", "OUT_OF_RANGE", message)])
    return Statistics(
        step_minutes=step_minutes, rows=tuple(await statistics.read(pool, webhook_id, begin, end, step_minutes))
    )
