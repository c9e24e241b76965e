"""An interaction: one contact with a customer, whoever sought it."""

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, Reference, text
from retailos.declare.resource import Resource
from retailos.declare.texts import Choice
from retailos.declare.values import Timestamp
from retailos.resources.parts import MARKETING

_CHANNELS = ("email", "sms", "whatsapp", "wechat", "phone", "video", "chat", "inStore", "post")

INTERACTION = Resource(
    name="interaction",
    plural="interactions",
    domain="scv",
    members=(
        Reference(name="customer", to="customer", required=True),
        Reference(name="user", to="user"),
        Reference(name="store", to="store"),
        Field(name="channel", kind=Choice(words=_CHANNELS), required=True, nullable=False),
        Field(name="direction", kind=Choice(words=("inbound", "outbound"))),
        Field(name="occurredAt", kind=Timestamp(), required=True, nullable=False),
        text("subject", 255, "Your order is ready", personal=True),
        text("summary", 2000, "Asked for the coat in navy.", personal=True),
        Field(name="outcome", kind=Choice(words=("reached", "noAnswer", "booked", "sold", "declined"), open=True)),
        text("campaign", 255, "AW26 preview"),
        Reference(name="order", to="order"),
        Reference(name="appointment", to="appointment"),
        Reference(name="products", to="product", ids="productIds"),
        # Which of the customer's flags allowed it.
        Field(name="consentBasis", kind=Choice(words=MARKETING)),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalInteractionId", "channel", "occurredAt"),
    webhook_relations=("customer", "store", "user"),
    indexes=(("customerId", "occurredAt"),),
    filters=("channel", "direction", "outcome", "campaign"),
)
