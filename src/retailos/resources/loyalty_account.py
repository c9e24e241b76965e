"""A loyalty account: a customer's membership of a programme, whose balances its source owns."""

from types import MappingProxyType

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, Reference, text
from retailos.declare.resource import Resource
from retailos.declare.shapes import Shape
from retailos.declare.values import Number, Timestamp

_MOST = 1_000_000_000_000
_EXPIRING = Shape(MappingProxyType({"amount": Number(0, _MOST, like=(200,)), "at": Timestamp()}), ("amount", "at"))

LOYALTY_ACCOUNT = Resource(
    name="loyaltyAccount",
    plural="loyaltyAccounts",
    domain="scv",
    members=(
        Reference(name="customer", to="customer", required=True),
        text("programme", 100, "Circle", required=True),
        text("memberNumber", 100, "7041 2233", "7041 9987", personal=True),
        text("tier", 100, "silver", "gold"),
        Field(name="pointsBalance", kind=Number(-_MOST, _MOST, like=(1250, 0))),
        Field(name="pointsExpiring", kind=_EXPIRING),
        Field(name="joinedAt", kind=Timestamp()),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalLoyaltyAccountId", "programme", "tier"),
    webhook_relations=("customer",),
    indexes=("memberNumber",),
    filters=("programme", "tier"),
    search=("memberNumber",),
)
