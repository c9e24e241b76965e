"""A basket: what somebody may buy, open or shared, until an order is made of it."""

from retailos.declare.field import CREATED_AT, DETAILS, RELATIONS, REPORTING, UPDATED_AT, Field, Reference, text
from retailos.declare.inner import InnerArray, inner_id
from retailos.declare.resource import Resource
from retailos.declare.texts import CURRENCY
from retailos.resources import sale, totals
from retailos.resources.parts import URL
from retailos.resources.sale import LINES_MOST, amount, choice, moment, parts

LINES = InnerArray(
    key="externalBasketLineId",
    members=(
        inner_id("externalBasketLineId"),
        sale.POSITION,
        Reference(name="variant", to="variant", required=True, projection=sale.VARIANT),
        text("sku", 100, "MJ-NAVY-M", "LS-WHITE-L"),
        text("name", 255, "Merino jumper", "Linen shirt"),
        *sale.SNAPSHOT,
        sale.quantity(),
        amount("unitPrice"),
        amount("discountTotal"),
        amount("total"),
        DETAILS,
    ),
    most=LINES_MOST,
)

BASKET = Resource(
    name="basket",
    plural="baskets",
    domain="oms",
    members=(
        choice("status", "open", "shared", "converted", "abandoned", "expired", default="open"),
        sale.CHANNEL,
        Field(name="currency", kind=CURRENCY, required=True, nullable=False),
        Reference(name="customer", to="customer"),
        Reference(name="store", to="store"),
        Reference(name="createdBy", to="user", unknown="null", projection=sale.SOMEBODY, indexed=False),
        Reference(name="order", to="order"),
        RELATIONS,
        *sale.total(required=False),
        parts("lines", LINES),
        parts("discounts", sale.discounts("externalBasketLineId")),
        Field(name="shareUrl", kind=URL),
        moment("expiresAt"),
        sale.NOTE,
        sale.TAGS,
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalBasketId", "status"),
    webhook_relations=("customer", "store"),
    indexes=("status",),
    filters=("channel", "currency", "total"),
    currency="currency",
    remarks=(totals.mismatch,),
    plausible=totals.add_up,
)
