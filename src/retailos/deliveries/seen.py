"""What is said of each settlement: one observation of what was sent, or of why it was not."""

from retailos.deliveries.name import delivery_id
from retailos.deliveries.outcome import Delivered, Failed, Skipped
from retailos.deliveries.settlement import Settlement
from retailos.deliveries.told import status_of
from retailos.observe import emit, wanted
from retailos.observe.deliveries import AttemptSettled, ChangePassedOver, DeliverySkipped
from retailos.webhooks.webhook import Webhook


def observe(webhook: Webhook, settlement: Settlement) -> None:
    """Say what became of a claim."""
    outcome, version = settlement.outcome, settlement.version
    if isinstance(outcome, Failed) and webhook.scope.skips:
        delivery = delivery_id(webhook.id, settlement.claim.record_id)
        error_class = outcome.error_class
        emit(ChangePassedOver(webhook=webhook.name, delivery=delivery, version=version, error_class=error_class))
    if not wanted(AttemptSettled):
        return
    delivery = delivery_id(webhook.id, settlement.claim.record_id)
    if isinstance(outcome, Skipped):
        emit(DeliverySkipped(webhook=webhook.name, delivery=delivery, version=version, why=outcome.why))
        return
    reply = settlement.reply
    emit(
        AttemptSettled(
            webhook=webhook.name,
            delivery=delivery,
            attempt=settlement.claim.attempt,
            status=reply.status if reply else None,
            outcome=status_of(outcome),
            error_class=None if isinstance(outcome, Delivered) else outcome.error_class,
            milliseconds=reply.milliseconds if reply else 0.0,
        )
    )
