"""The administration's routes, a file for each noun: read a request, call the operation, show what came."""

from retailos.api.admin.deliveries import delivery_lines, delivery_schemas
from retailos.api.admin.filling import filling_lines, filling_schemas
from retailos.api.admin.keys import key_lines, key_schemas
from retailos.api.admin.line import ROOT
from retailos.api.admin.operations import operation_lines, operation_schemas
from retailos.api.admin.reports import report_lines, report_schemas
from retailos.api.admin.requeues import requeue_lines, requeue_schemas
from retailos.api.admin.statistics import statistics_lines, statistics_schemas
from retailos.api.admin.switches import switch_lines, switch_schemas
from retailos.api.admin.trials import trial_lines, trial_schemas
from retailos.api.admin.webhooks import webhook_lines, webhook_schemas
from retailos.api.call import Operation
from retailos.api.schemas import Schema
from retailos.declare.resource import Resources

__all__ = ("ROOT", "admin_operations", "admin_schemas")


def admin_operations(resources: Resources) -> tuple[Operation, ...]:
    """The route table of the administration."""
    return (
        *key_lines(),
        *webhook_lines(),
        *delivery_lines(),
        *requeue_lines(),
        *operation_lines(),
        *switch_lines(),
        *filling_lines(),
        *trial_lines(),
        *report_lines(),
        *statistics_lines(),
    )


def admin_schemas(resources: Resources) -> dict[str, Schema]:
    """Describe every object of the administration, by the names that its routes use."""
    return {
        **key_schemas(resources),
        **webhook_schemas(resources),
        **delivery_schemas(),
        **requeue_schemas(),
        **operation_schemas(),
        **switch_schemas(),
        **filling_schemas(),
        **trial_schemas(),
        **report_schemas(),
        **statistics_schemas(),
    }
