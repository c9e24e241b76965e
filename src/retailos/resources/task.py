"""A task: what an associate or a store is to do, mostly for a customer."""

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, Reference, text
from retailos.declare.resource import Resource
from retailos.declare.texts import Choice
from retailos.declare.values import Timestamp

_TYPES = ("followUp", "birthday", "thankYou", "collectReady", "visual", "admin")
_STATUSES = ("open", "inProgress", "done", "cancelled", "expired")

TASK = Resource(
    name="task",
    plural="tasks",
    domain="scv",
    members=(
        text("title", 255, "Call about the coat", "Say thank you", required=True),
        Field(name="type", kind=Choice(words=_TYPES, open=True)),
        Field(name="status", kind=Choice(words=_STATUSES), default="open", nullable=False),
        Field(name="priority", kind=Choice(words=("low", "normal", "high")), default="normal", nullable=False),
        Field(name="dueAt", kind=Timestamp()),
        Reference(name="assignedTo", to="user"),
        Reference(name="store", to="store"),
        Reference(name="department", to="department"),
        Reference(name="customer", to="customer"),
        Reference(name="order", to="order"),
        Reference(name="appointment", to="appointment"),
        Field(name="completedAt", kind=Timestamp()),
        Reference(name="completedBy", to="user", indexed=False),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalTaskId", "title", "status"),
    webhook_relations=("assignedTo", "store", "customer"),
    indexes=(("storeId", "dueAt"),),
    filters=("type", "status", "priority"),
)
