"""A consent event: when, where and how a customer gave or withdrew one consent; written once, since it is evidence."""

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, Reference, text
from retailos.declare.resource import Resource
from retailos.declare.shapes import FreeJson
from retailos.declare.texts import Choice
from retailos.declare.values import Boolean, Timestamp
from retailos.resources.parts import MARKETING

CONSENT_EVENT = Resource(
    name="consentEvent",
    plural="consentEvents",
    domain="scv",
    members=(
        Reference(name="customer", to="customer", required=True),
        Field(name="channel", kind=Choice(words=MARKETING), required=True, nullable=False),
        Field(name="granted", kind=Boolean(), required=True, nullable=False),
        Field(name="occurredAt", kind=Timestamp(), required=True, nullable=False),
        text("source", 100, "web form", "till"),
        Reference(name="store", to="store"),
        Reference(name="user", to="user"),
        Field(name="evidence", kind=FreeJson(), personal=True),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalConsentEventId", "channel", "granted", "occurredAt"),
    webhook_relations=("customer",),
    indexes=(("customerId", "occurredAt"),),
    filters=("channel", "granted", "source"),
    write_once=True,
)
