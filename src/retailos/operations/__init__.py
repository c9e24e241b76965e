"""What an operator may do: the admin API, the commands and the console all call these."""

from retailos.operations.deliveries import find_deliveries, show_delivery
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
from retailos.operations.requeues import (
    Requeued,
    cancel_operation,
    list_operations,
    requeue_failed,
    show_operation,
)
from retailos.operations.secrets import SecretsRotated, SecretsState, rotate_secrets, seal_secrets, show_secrets
from retailos.operations.webhooks import (
    Removed,
    Shown,
    add_webhook,
    change_webhook,
    list_webhooks,
    remove_webhook,
    show_webhook,
)
from retailos.webhooks.operation import Operation

__all__ = (
    "JobsRequeued",
    "Operation",
    "Removed",
    "ReportPreview",
    "ReportRemoved",
    "Requeued",
    "SecretsRotated",
    "SecretsState",
    "Shown",
    "ShownIssue",
    "ShownReport",
    "add_key",
    "add_report",
    "add_webhook",
    "cancel_operation",
    "change_key",
    "change_report",
    "change_webhook",
    "find_deliveries",
    "list_issues",
    "list_keys",
    "list_operations",
    "list_reports",
    "list_webhooks",
    "preview_report",
    "remove_report",
    "remove_webhook",
    "requeue_failed",
    "requeue_jobs",
    "revoke_key",
    "rotate_key",
    "rotate_secrets",
    "seal_secrets",
    "send_report",
    "show_delivery",
    "show_issue",
    "show_key",
    "show_operation",
    "show_report",
    "show_secrets",
    "show_webhook",
)
