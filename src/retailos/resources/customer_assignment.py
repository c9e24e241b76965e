"""A customer assignment: whose client book a customer is in, and who of them comes first."""

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, Reference
from retailos.declare.resource import Resource
from retailos.declare.rules import Together
from retailos.declare.texts import Choice
from retailos.declare.values import Timestamp

CUSTOMER_ASSIGNMENT = Resource(
    name="customerAssignment",
    plural="customerAssignments",
    domain="scv",
    members=(
        Reference(name="customer", to="customer", required=True),
        Reference(name="user", to="user", required=True),
        Reference(name="store", to="store"),
        Field(name="role", kind=Choice(words=("primary", "secondary")), default="secondary", nullable=False),
        Field(name="assignedAt", kind=Timestamp()),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalCustomerAssignmentId", "role"),
    webhook_relations=("customer", "user", "store"),
    together=(
        Together(("customerId", "userId")),
        Together(("customerId",), where=("role", "primary"), yields="secondary"),
    ),
)
