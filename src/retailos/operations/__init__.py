"""What an operator may do: the admin API, the commands and the console all call these."""

from retailos.operations.deliveries import Requeued, find_deliveries, requeue, show_delivery
from retailos.operations.jobs import JobsRequeued, requeue_jobs
from retailos.operations.keys import add_key, change_key, list_keys, revoke_key, rotate_key, show_key
from retailos.operations.reports import (
    ReportPreview,
    ReportRemoved,
    ShownIssue,
    ShownReport,
    add_report,
    change_report,
    list_issues,
    list_reports,
    preview_report,
    remove_report,
    send_report,
    show_issue,
    show_report,
)
from retailos.operations.webhooks import (
    Removed,
    Shown,
    add_webhook,
    change_webhook,
    list_webhooks,
    remove_webhook,
    show_webhook,
)

__all__ = (
    "JobsRequeued",
    "Removed",
    "ReportPreview",
    "ReportRemoved",
    "Requeued",
    "Shown",
    "ShownIssue",
    "ShownReport",
    "add_key",
    "add_report",
    "add_webhook",
    "change_key",
    "change_report",
    "change_webhook",
    "find_deliveries",
    "list_issues",
    "list_keys",
    "list_reports",
    "list_webhooks",
    "preview_report",
    "remove_report",
    "remove_webhook",
    "requeue",
    "requeue_jobs",
    "revoke_key",
    "rotate_key",
    "send_report",
    "show_delivery",
    "show_issue",
    "show_key",
    "show_report",
    "show_webhook",
)
