"""The timetable: everything that happens by the clock, once over all workers however many there are."""

import asyncio
from collections.abc import Mapping
from functools import partial

from retailos import answers
from retailos.database import history
from retailos.database.pool import Pool
from retailos.deliveries import openings, register, statistics, sweep
from retailos.keys.store import pepper_of
from retailos.observe import emit
from retailos.observe.deliveries import CertificateExpiring
from retailos.observe.work import UpsertsExpired
from retailos.operations import list_expiring, seal_secrets
from retailos.records import parked
from retailos.reports import issues, sending
from retailos.reports.sending import Office
from retailos.resources import RESOURCES
from retailos.schedule import Schedule, every
from retailos.schedule.clock import run_schedules
from retailos.sending import gate
from retailos.settings import Settings
from retailos.stints import following, operation, rearming, stint

#: Answers are kept for so much longer than they count, at most; so is what waits for records that do not come.
MINUTE = 60.0
TIDY_SECONDS = 2.0
#: Days are made a week ahead.
HOUR = 3600.0
DAY = 24 * HOUR
#: Every record is read for it.
COMPARE_SECONDS = 6 * HOUR
#: Sooner than the next day, since dropping gives way to whoever uses what is to be dropped.
DROP_SECONDS = 600.0


def timetable(settings: Settings) -> tuple[Schedule, ...]:
    """All that this program does by the clock."""
    return (
        every(TIDY_SECONDS, "tidy registers", register.tidy),
        every(MINUTE, "forget shares", gate.forget),
        every(HOUR, "sweep registers", partial(_sweep, settings.late_seconds)),
        every(COMPARE_SECONDS, "compare versions", _compare),
        every(MINUTE, "expire unresolved", partial(_expire_unresolved, settings)),
        stint.operations(RESOURCES),
        rearming.policies(RESOURCES),
        following.following(RESOURCES),
        every(HOUR, "forget operations", operation.forget),
        every(MINUTE, "sweep answers", answers.sweep),
        every(HOUR, "seal secrets", partial(seal_secrets, settings)),
        every(DAY, "look at certificates", partial(_look_at_certificates, settings)),
        every(HOUR, "make days", history.make_days),
        every(DROP_SECONDS, "drop history", partial(history.drop, kept_days=kept_days(settings))),
        every(MINUTE, "fold statistics", statistics.fold),
        every(DROP_SECONDS, "forget openings", partial(openings.forget, days=settings.attempt_retention_days)),
        every(DROP_SECONDS, "forget issues", partial(issues.forget, days=settings.report_retention_days)),
        *sending.schedules(Office.of(settings, partial(pepper_of, configured=settings.pepper_bytes))),
    )


def kept_days(settings: Settings) -> Mapping[str, int]:
    """For how many days each table of the history is kept, today aside."""
    return {
        "change": settings.change_retention_days,
        "attempt": settings.attempt_retention_days,
        "batch": settings.attempt_retention_days,
        "job": settings.job_retention_days,
        "report_row": settings.report_retention_days,
        "delivery_minute": settings.statistics_retention_days,
    }


async def _sweep(late_seconds: float, pool: Pool) -> None:
    await sweep.sweep(pool, late_seconds)


async def _compare(pool: Pool) -> None:
    await sweep.compare(pool, RESOURCES)


async def _expire_unresolved(settings: Settings, pool: Pool) -> None:
    hours = settings.unresolved_hours
    if count := await parked.expire(pool, hours, 24 * settings.job_retention_days - hours):
        emit(UpsertsExpired(count=count))


async def _look_at_certificates(settings: Settings, pool: Pool) -> None:
    for each in await list_expiring(pool, settings.certificate_warning_days):
        emit(CertificateExpiring(webhook=each.name, expires_at=each.expires_at))


async def run_timetable(pool: Pool, settings: Settings, stop: asyncio.Event) -> None:
    """Do what the timetable says until `stop` is set."""
    await run_schedules(pool, timetable(settings), stop)
