"""What the admin route of statistics does: read how many deliveries went well or ill in each step of time."""

from collections.abc import Iterator
from datetime import datetime

from retailos import operations
from retailos.api.admin.line import AT, WHEN, like, lines
from retailos.api.call import Answer, Call, Engine, Operation
from retailos.api.envelope import encode
from retailos.api.schemas import Schema, struct_schema
from retailos.declare.values import moment
from retailos.deliveries.statistics import STEP_MINUTES_MOST, Step
from retailos.errors import Problem, ValidationFailed
from retailos.operations import Statistics
from retailos.records import query


async def read_statistics(engine: Engine, call: Call) -> Answer:
    """GET what came of deliveries, by the minute or in longer steps; counted when they were settled."""
    given = query.parameters(call.query)
    query.refuse_unknown(given, ("webhook", "from", "to", "step"))
    problems: list[Problem] = []
    webhook_id = query.whole(given, "webhook", None, 2**31 - 1, problems)
    step = query.whole(given, "step", 1, STEP_MINUTES_MOST, problems)
    begin, end = (_moment(given.get(name), name, problems) for name in ("from", "to"))
    if step == 0:
        problems.append(Problem("step", "OUT_OF_RANGE", "expected at least 1"))
    if problems:
        raise ValidationFailed(problems)
    return Answer(encode(await operations.read_statistics(engine.pool, webhook_id, begin, end, step)))


def statistics_lines() -> Iterator[Operation]:
    """The route of statistics."""
    line, said = lines("Statistics", "Statistics"), "Read statistics of deliveries"
    parameters, result = ("statistics",), "Statistics"
    yield line("GET", "/statistics", read_statistics, "STATISTICS_GET", said, parameters=parameters, result=result)


def statistics_schemas() -> dict[str, Schema]:
    """Describe what the route of statistics gives."""
    step = Step(at=AT, delivered=1200, failed=3, retried=17, skipped=0, lag_mean=0.021, lag_most=0.3)
    return {
        "Step": struct_schema(Step, at=WHEN) | like(step),
        "Statistics": struct_schema(Statistics) | like(Statistics(step_minutes=1, rows=(step,))),
    }


def _moment(text: str | None, name: str, problems: list[Problem]) -> datetime | None:
    try:
        return None if text is None else moment(text)
    except ValueError as error:
        problems.append(Problem(name, "INVALID_TIMESTAMP", str(error)))
        return None
