"""When a report is due: a cron expression in a time zone, with the days on which clocks are put forward and back."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from retailos.errors import Problem

#: Minute, hour, day of the month, month, day of the week.
_FIELDS = 5


def zone_of(name: str) -> tzinfo:
    """The time zone of an IANA name; ValueError where this machine knows none."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected a time zone that exists, such as Europe/London") from None


def next_after(cron: str, zone: str, moment: datetime) -> datetime:
    """The first moment behind another at which a cron expression holds, in UTC; ValueError where there is none.

    As Debian's cron has it: what would fall into the hour that is left out happens right after it, and what falls into
    the hour that comes twice happens the first time, but for expressions with a star for the hour or the minute.
    """
    if len(cron.split()) != _FIELDS:
        raise ValueError(f"expected {_FIELDS} fields: minute, hour, day, month and day of the week, such as 0 7 * * *")
    try:
        coming = CronSim(cron, moment.astimezone(zone_of(zone)))
    except CronSimError as error:
        raise ValueError(f"expected a cron expression such as 0 7 * * *, but: {error}") from None
    for found in coming:
        # Between the two times of the hour that comes twice, the next one of it by the wall's clock is behind us.
        if found.astimezone(UTC) > moment:
            return found.astimezone(UTC)
    raise ValueError("expected a cron expression that comes true some day")


def problems(cron: str, zone: str, now: datetime) -> list[Problem]:
    """What is wrong with an expression and a zone."""
    try:
        zone_of(zone)
    except ValueError as error:
        return [Problem("/timeZone", "UNKNOWN_TIME_ZONE", str(error))]
    try:
        next_after(cron, zone, now)
    except ValueError as error:
        return [Problem("/cron", "INVALID_CRON", str(error))]
    return []
