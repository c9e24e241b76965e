"""What an operator may do: the admin API, the commands and the console all call these."""

from retailos.operations.deliveries import find_deliveries, show_delivery
from retailos.operations.jobs import JobsRequeued, requeue_jobs
from retailos.operations.keys import add_key, change_key, list_keys, revoke_key, rotate_key, show_key
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
    "Requeued",
    "SecretsRotated",
    "SecretsState",
    "Shown",
    "add_key",
    "add_webhook",
    "cancel_operation",
    "change_key",
    "change_webhook",
    "find_deliveries",
    "list_keys",
    "list_operations",
    "list_webhooks",
    "remove_webhook",
    "requeue_failed",
    "requeue_jobs",
    "revoke_key",
    "rotate_key",
    "rotate_secrets",
    "seal_secrets",
    "show_delivery",
    "show_key",
    "show_operation",
    "show_secrets",
    "show_webhook",
)
