"""Reports as they are kept: saved, changed, listed and taken away, each with its schedule."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from retailos.database.pool import Connection
from retailos.database.statements import load
from retailos.errors import NotUnique, Problem, ResourceNotFound
from retailos.reports.report import SETTINGS, Report
from retailos.schedule import arm, disarm

_SQL = load(__file__)
_LIST, _INSERT, _UPDATE, _DELETE = _SQL.list, _SQL.insert, _SQL.update, _SQL.delete
_HOLD, _HAS_WEBHOOK, _NOW = _SQL.hold, _SQL.has_webhook, _SQL.now

#: What the schedule calls the moments at which a report is due.
KIND = "issue report"


async def reports(connection: Connection) -> list[Report]:
    """List the reports that stand, oldest first."""
    return [_report(row) for row in await connection.fetch(_LIST, None, KIND)]


async def find(connection: Connection, report_id: int) -> Report | None:
    """Give one report, None if there is none, or its webhook is gone."""
    row = await connection.fetchrow(_LIST, report_id, KIND)
    return _report(row) if row else None


async def one(connection: Connection, report_id: int) -> Report:
    """Give one report; ResourceNotFound if there is none."""
    found = await find(connection, report_id)
    if found is None:
        raise _none()
    return found


async def held(transaction: Connection, report_id: int) -> Report | None:
    """Give one report, as `find`, that nobody changes before the transaction ends."""
    await transaction.execute(_HOLD, report_id)
    return await find(transaction, report_id)


async def add(transaction: Connection, values: Mapping[str, Any]) -> Report:
    """Save a new report, checked by `read_report`, and plan it; NotUnique if another has its name."""
    report_id = await transaction.fetchval(_INSERT, *_parameters(values))
    if report_id is None:
        raise _taken()
    return await _planned(transaction, report_id)


async def change(transaction: Connection, report_id: int, values: Mapping[str, Any]) -> Report:
    """Save a report anew, and plan it anew; ResourceNotFound and NotUnique as above."""
    try:
        found = await transaction.fetchval(_UPDATE, *_parameters(values), report_id)
    except asyncpg.UniqueViolationError:
        raise _taken() from None
    if found is None:
        raise _none()
    return await _planned(transaction, report_id)


async def remove(transaction: Connection, report_id: int) -> None:
    """Take a report away; ResourceNotFound if there is none."""
    if await transaction.fetchval(_DELETE, report_id) is None:
        raise _none()
    await disarm(transaction, KIND, str(report_id))


async def has_webhook(connection: Connection, webhook_id: int) -> bool:
    """Whether a webhook stands."""
    return bool(await connection.fetchval(_HAS_WEBHOOK, webhook_id))


async def now(connection: Connection) -> datetime:
    """The moment by the database's clock: that of its transaction."""
    moment: datetime = await connection.fetchval(_NOW)
    return moment


async def _planned(transaction: Connection, report_id: int) -> Report:
    report = await one(transaction, report_id)
    if report.active:
        await arm(transaction, KIND, str(report_id), report.next_after(await now(transaction)))
    else:
        await disarm(transaction, KIND, str(report_id))
    return await one(transaction, report_id)


def _parameters(values: Mapping[str, Any]) -> tuple[Any, ...]:
    settings = {name: values[name] for name in SETTINGS}
    return values["name"], values["webhook"], msgspec.json.encode(settings).decode(), values["active"]


def _report(row: asyncpg.Record) -> Report:
    return Report.of(**{**row, "settings": msgspec.json.decode(row["settings"])})


def _none() -> ResourceNotFound:
    return ResourceNotFound("There is no such report; GET /v2/admin/reports lists them.")


def _taken() -> NotUnique:
    return NotUnique([Problem("/name", NotUnique.code, "expected a name that no other report has")])
