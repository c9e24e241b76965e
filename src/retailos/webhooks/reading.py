"""What a lane reads of the records that it claimed: the statement that a webhook makes, and its parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from retailos.declare.resource import Resources
from retailos.records.told_sql import Wanted, by_claim, reading
from retailos.webhooks.claim import Claim
from retailos.webhooks.scope import filters
from retailos.webhooks.shape import shown_by
from retailos.webhooks.webhook import Webhook


@dataclass(frozen=True, slots=True)
class Reading:
    """The statement that reads records for a webhook, a row for each as `Told` has it."""

    statement: str
    _values: tuple[Any, ...]
    _by_claim: bool

    @classmethod
    def of(cls, resources: Resources, webhook: Webhook) -> Self:
        """Compose it of what the webhook says."""
        resource = resources[webhook.resource]
        own = (resource.external_id.name, "id")
        named = dict.fromkeys(name for name in webhook.variables if name not in own)
        wanted = Wanted(
            show=shown_by(webhook.shape, resource),
            address=tuple(resource.fields[name] for name in named),
            where=filters(webhook.scope, resources, resource),
            watched=tuple(resource.fields[name] for name in webhook.scope.when_changed),
            keys=webhook.scope.suppress_echo,
            every=webhook.scope.every,
        )
        statement, values = reading(resources, resource, wanted)
        return cls(statement, tuple(values), by_claim(wanted))

    def arguments(self, claims: Sequence[Claim]) -> tuple[Any, ...]:
        """The statement's parameters for these claims."""
        records = [each.record_id for each in claims]
        if not self._by_claim:
            return (records, *self._values)
        acknowledged = [each.acknowledged for each in claims]
        return (records, acknowledged, [each.position for each in claims], *self._values)
