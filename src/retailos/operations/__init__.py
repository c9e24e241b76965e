"""What an operator may do: the admin API, the commands and the console all call these."""

from retailos.operations.deliveries import Requeued, find_deliveries, requeue, show_delivery
from retailos.operations.jobs import JobsRequeued, requeue_jobs
from retailos.operations.keys import add_key, change_key, list_keys, revoke_key, rotate_key, show_key
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

__all__ = (
    "JobsRequeued",
    "Removed",
    "Requeued",
    "SecretsRotated",
    "SecretsState",
    "Shown",
    "add_key",
    "add_webhook",
    "change_key",
    "change_webhook",
    "find_deliveries",
    "list_keys",
    "list_webhooks",
    "remove_webhook",
    "requeue",
    "requeue_jobs",
    "revoke_key",
    "rotate_key",
    "rotate_secrets",
    "seal_secrets",
    "show_delivery",
    "show_key",
    "show_secrets",
    "show_webhook",
)
