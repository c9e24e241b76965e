"""What an operator may do: the admin API, the commands and the console all call these."""

from retailos.operations.deliveries import find_deliveries, show_delivery
from retailos.operations.filling import backfill, resync_webhook, show_drift
from retailos.operations.jobs import JobsRequeued, requeue_jobs
from retailos.operations.keys import add_key, change_key, list_keys, revoke_key, rotate_key, show_key
from retailos.operations.requeues import (
    Requeued,
    cancel_operation,
    dismiss_failed,
    list_operations,
    requeue_failed,
    show_operation,
)
from retailos.operations.secrets import SecretsRotated, SecretsState, rotate_secrets, seal_secrets, show_secrets
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
    "Requeued",
    "SecretsRotated",
    "SecretsState",
    "Shown",
    "Switched",
    "add_key",
    "add_webhook",
    "backfill",
    "cancel_operation",
    "change_key",
    "change_webhook",
    "disable_webhook",
    "dismiss_failed",
    "enable_webhook",
    "find_deliveries",
    "list_keys",
    "list_operations",
    "list_webhooks",
    "pause_webhook",
    "remove_webhook",
    "requeue_failed",
    "requeue_jobs",
    "resume_webhook",
    "resync_webhook",
    "revoke_key",
    "rotate_key",
    "rotate_secrets",
    "seal_secrets",
    "show_delivery",
    "show_drift",
    "show_key",
    "show_operation",
    "show_secrets",
    "show_webhook",
)
