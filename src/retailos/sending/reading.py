"""What a lane reads of the records that it claimed: the statement that a webhook makes, and its parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from retailos.declare.field import Field, Reference
from retailos.declare.resource import Resource, Resources
from retailos.deliveries.claim import Claim
from retailos.records.told_sql import Wanted, by_claim, reading
from retailos.webhooks.scope import Scope, filters
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
        show = shown_by(webhook.shape, resource)
        wanted = Wanted(
            show=show,
            address=tuple(resource.fields[name] for name in named),
            where=filters(webhook.scope, resources, resource),
            watched=_watched(webhook.scope, resource, show),
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


def _watched(scope: Scope, resource: Resource, show: Sequence[Field | Reference]) -> tuple[Field | Reference, ...]:
    """What the receiver is told of when it changes; nothing in particular: of each version."""
    named = tuple(resource.fields[name] for name in scope.when_changed)
    if not scope.marks:
        return named
    # The version is shown always, so that a change of the record's own is told whatever it changed.
    return (*named, *(each for each in show if isinstance(each, Reference))) if named else tuple(show)
