"""What the admin routes of reports do: set up, looked at, mailed now, and what became of those that were mailed."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from retailos import operations
from retailos.api.admin.form import body_of, listed, made, number_of, page_of
from retailos.api.admin.line import AT, WHEN, WHEN_OR_NULL, like, lines
from retailos.api.call import Answer, Call, Engine, Operation
from retailos.api.endpoints import refuse_parameters
from retailos.api.envelope import encode
from retailos.api.examples import job_id, object_example
from retailos.api.schemas import Schema, list_schema, object_schema, struct_schema
from retailos.declare.values import Uuid
from retailos.errors import ResourceNotFound
from retailos.operations import ReportPreview, ReportRemoved, ShownIssue
from retailos.reports.issue import STATUSES, FailureCount
from retailos.reports.report import FIELDS

_ALL, _ONE, _ISSUES = "/reports", "/reports/{id}", "/reports/{id}/issues"
_OF_ISSUES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "at": WHEN,
        "status": {"type": "string", "enum": list(STATUSES)},
        "refused": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Who is not to get it, each with what the mail server said.",
        },
        "sentAt": WHEN_OR_NULL,
        "files": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "The links to its file, by form. They need no key, and end as those in the mail do.",
        },
    }
)


async def list_reports(engine: Engine, call: Call) -> Answer:
    """GET all reports, oldest first."""
    refuse_parameters(call)
    return listed(await operations.list_reports(engine.pool))


async def add_report(engine: Engine, call: Call) -> Answer:
    """POST a report: whom to mail what has failed, of one webhook or of everything, and when (`cron`)."""
    body = await body_of(engine, call)
    added = await operations.add_report(engine.pool, body)
    return made(added, f"/reports/{added['id']}")


async def show_report(engine: Engine, call: Call) -> Answer:
    """GET one report, and when it is due next."""
    refuse_parameters(call)
    return Answer(encode(await operations.show_report(engine.pool, _report_id(call))))


async def change_report(engine: Engine, call: Call) -> Answer:
    """PUT a report: what is absent is kept."""
    report_id = _report_id(call)
    body = await body_of(engine, call)
    return Answer(encode(await operations.change_report(engine.pool, report_id, body)))


async def remove_report(engine: Engine, call: Call) -> Answer:
    """DELETE a report; links to what it told lead on for as long as they are good."""
    refuse_parameters(call)
    return Answer(encode(await operations.remove_report(engine.pool, _report_id(call))))


async def preview_report(engine: Engine, call: Call) -> Answer:
    """GET the mail that a report would be now; nothing is kept, so its links lead nowhere."""
    refuse_parameters(call)
    return Answer(encode(await operations.preview_report(engine.pool, engine.settings, _report_id(call))))


async def send_report(engine: Engine, call: Call) -> Answer:
    """POST to mail a report now, whatever its schedule; a worker sends it, and the issue tells what came of it."""
    refuse_parameters(call)
    issue = await operations.send_report(engine.pool, engine.settings, _report_id(call))
    return made(issue, f"/reports/{issue.report_id}/issues/{issue.id}")


async def list_issues(engine: Engine, call: Call) -> Answer:
    """GET what a report told at each of its moments, newest first, with links to the files."""
    limit, offset = page_of(call)
    rows = await operations.list_issues(engine.pool, engine.settings, _report_id(call), limit, offset)
    return Answer(encode({"count": None, "rows": rows}))


async def show_issue(engine: Engine, call: Call) -> Answer:
    """GET what a report told at one moment: the counts, links to the file, and what became of the mail."""
    refuse_parameters(call)
    issue_id = _issue_id(call.path["issueId"])
    return Answer(encode(await operations.show_issue(engine.pool, engine.settings, _report_id(call), issue_id)))


def report_lines() -> Iterator[Operation]:
    """The routes of reports."""
    line, one_issue = lines("Report", "Reports"), f"{_ISSUES}/{{issueId}}"
    written, changed = ({"body": each, "result": "Report"} for each in ("ReportInput", "ReportChange"))
    yield line("GET", _ALL, list_reports, "REPORT_GET_ALL", "List reports", result="ReportList")
    yield line("POST", _ALL, add_report, "REPORT_CREATE", "Add a report", 201, 409, **written)
    yield line("GET", _ONE, show_report, "REPORT_GET_ONE", "Get a report", 200, 404, result="Report")
    yield line("PUT", _ONE, change_report, "REPORT_UPDATE", "Change a report", 200, 404, 409, **changed)
    yield line("DELETE", _ONE, remove_report, "REPORT_DELETE", "Delete a report", 200, 404, result="ReportRemoved")
    said = "Preview a report's mail"
    yield line("GET", f"{_ONE}/preview", preview_report, "REPORT_PREVIEW", said, 200, 404, result="ReportPreview")
    yield line("POST", f"{_ONE}/send", send_report, "REPORT_SEND", "Mail a report now", 201, 404, result="ReportIssue")
    issue = lines("Report issue", "Report issues")
    yield issue(
        "GET",
        _ISSUES,
        list_issues,
        "REPORT_ISSUE_GET_ALL",
        "List a report's issues",
        200,
        404,
        result="ReportIssueList",
        parameters=("page",),
    )
    said = "Get an issue of a report"
    yield issue("GET", one_issue, show_issue, "REPORT_ISSUE_GET_ONE", said, 200, 404, result="ReportIssue")


def report_schemas() -> dict[str, Schema]:
    """Describe what the routes of reports take and give."""
    taken, given = (object_schema(FIELDS, input=each, owner="Report") for each in (True, False))
    report = given | {"examples": [object_example(FIELDS, input=False) | {"webhook": None, "nextAt": AT}]}
    example = {name: object_example(FIELDS, input=True)[name] for name in ("name", "cron", "timeZone", "recipients")}
    new = taken | {"examples": [example]}
    issue = struct_schema(ShownIssue, **_OF_ISSUES) | like(_issue())
    return {
        "Report": report,
        "ReportInput": new,
        "ReportChange": {key: value for key, value in new.items() if key != "required"},
        "ReportList": list_schema("Report", report),
        "ReportRemoved": struct_schema(ReportRemoved) | like(ReportRemoved(id=1)),
        "ReportPreview": struct_schema(ReportPreview) | like(_preview()),
        "FailureCount": struct_schema(FailureCount) | like(_count()),
        "ReportIssue": issue,
        "ReportIssueList": list_schema("ReportIssue", issue),
    }


def _report_id(call: Call) -> int:
    return number_of(call, "report")


def _issue_id(text: str) -> UUID:
    try:
        return Uuid().parse(text)
    except ValueError:
        raise ResourceNotFound("There is no such issue; GET /v2/admin/reports/{id}/issues lists them.") from None


def _count() -> FailureCount:
    return FailureCount(webhook_id=1, queue_name="webhook:customer:erp-customers", error_class="http_4xx", count=3)


def _preview() -> ReportPreview:
    subject, said = "[RetailOS dev] daily: 3 failures", '3 failures in "daily" at 25 March 2020, 07:00 UTC.'
    return ReportPreview(subject=subject, text=said, html=f"<p>{said}</p>", total=3, counts=(_count(),))


def _issue() -> ShownIssue:
    path = f"/v2/reports/{job_id()}/failures"
    return ShownIssue(
        id=UUID(job_id()),
        report_id=1,
        at=AT,
        total=3,
        counts=(_count(),),
        status="sent",
        attempts=1,
        recipients=("operations@example.com",),
        refused={},
        error=None,
        sent_at=AT,
        files={form: f"{path}.{form}?expires=1585748490&signature=…" for form in ("csv", "ndjson")},
    )
