"""What an operator may do: the admin API, the commands and the console all call these."""

from retailos.operations.deliveries import find_deliveries, show_delivery
from retailos.operations.filling import backfill, resync_webhook, show_drift
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
    dismiss_failed,
    list_operations,
    requeue_failed,
    show_operation,
)
from retailos.operations.secrets import SecretsRotated, SecretsState, rotate_secrets, seal_secrets, show_secrets
from retailos.operations.statistics import Statistics, read_statistics
from retailos.operations.switches import (
    Switched,
    disable_webhook,
    enable_webhook,
    pause_webhook,
    resume_webhook,
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
    "Statistics",
    "Switched",
    "add_key",
    "add_report",
    "add_webhook",
    "backfill",
    "cancel_operation",
    "change_key",
    "change_report",
    "change_webhook",
    "disable_webhook",
    "dismiss_failed",
    "enable_webhook",
    "find_deliveries",
    "list_issues",
    "list_keys",
    "list_operations",
    "list_reports",
    "list_webhooks",
    "pause_webhook",
    "preview_report",
    "read_statistics",
    "remove_report",
    "remove_webhook",
    "requeue_failed",
    "requeue_jobs",
    "resume_webhook",
    "resync_webhook",
    "revoke_key",
    "rotate_key",
    "rotate_secrets",
    "seal_secrets",
    "send_report",
    "show_delivery",
    "show_drift",
    "show_issue",
    "show_key",
    "show_operation",
    "show_report",
    "show_secrets",
    "show_webhook",
)
