"""A customer note: what an associate wrote about a customer; erasure deletes it, since anything may stand in it."""

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, Reference, flag, text
from retailos.declare.resource import Resource
from retailos.declare.texts import Choice
from retailos.declare.values import Timestamp

CUSTOMER_NOTE = Resource(
    name="customerNote",
    plural="customerNotes",
    domain="scv",
    members=(
        Reference(name="customer", to="customer", required=True),
        Reference(name="user", to="user"),
        Reference(name="store", to="store"),
        Field(name="type", kind=Choice(words=("general", "preference", "size", "service", "complaint"), open=True)),
        text("text", 5000, "Wears a size 38.", required=True, personal=True),
        flag("pinned"),
        Field(name="visibility", kind=Choice(words=("store", "region", "all")), default="store", nullable=False),
        Field(name="occurredAt", kind=Timestamp()),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalCustomerNoteId", "type"),
    webhook_relations=("customer", "store", "user"),
    indexes=(("customerId", "occurredAt"),),
    filters=("type", "pinned", "visibility"),
)
