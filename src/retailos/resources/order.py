"""An order: what was sold, whatever the channel, with its payments, fulfilments, returns and refunds."""

from types import MappingProxyType

from retailos.declare.derived import Computed
from retailos.declare.field import (
    CREATED_AT,
    DETAILS,
    EXTERNAL_ID,
    RELATIONS,
    REPORTING,
    UPDATED_AT,
    Field,
    Reference,
    text,
)
from retailos.declare.finders import Item
from retailos.declare.inner import InnerArray, inner_id
from retailos.declare.kind import Kind
from retailos.declare.resource import Resource
from retailos.declare.shapes import ListOf, Shape
from retailos.declare.texts import CURRENCY, Choice, Code, Email, Telephone, Text
from retailos.declare.values import Boolean, Number
from retailos.resources import formats, sale, totals
from retailos.resources.parts import ADDRESSEE, GTIN, URL
from retailos.resources.sale import LINES_MOST, PARTS_MOST, amount, choice, moment, parts

#: The guide's customer, without the objects that it refers to itself.
_WHOLE_CUSTOMER = (
    *("id", "externalCustomerId", "title", "gender", "firstName", "lastName", "telephone", "email", "dob"),
    *("generalMarketing", "thirdPartyMarketing", "storeMarketing", "smsMarketing", "emailMarketing", "postMarketing"),
    *("address", "details", "reporting", "anonymised", "registeredById", "registeredAtId", "territoryId", "regionId"),
    *("createdAt", "updatedAt"),
)
_PAYMENT_STATUSES = ("unpaid", "authorised", "partiallyPaid", "paid", "partiallyRefunded", "refunded", "failed")
_FULFILMENT_STATUSES = (
    *("unfulfilled", "partial", "readyToCollect", "fulfilled", "delivered", "returned"),
    "partiallyReturned",
)
_REASON = Text(255, like=("too small", "changed mind"))
#: How far a line has come, counted from the fulfilments and returns.
_PROGRESS = tuple(
    Field(name=f"{name}Quantity", kind=Number(0, 2**31 - 1), default=0, read_only=True, nullable=False)
    for name in ("fulfilled", "delivered", "returned", "cancelled")
)

LINES = InnerArray(
    key="externalOrderLineId",
    members=(
        inner_id("externalOrderLineId"),
        sale.POSITION,
        Reference(name="variant", to="variant", unknown="null", projection=sale.VARIANT),
        text("sku", 100, "MJ-NAVY-M", "LS-WHITE-L", required=True),
        Field(name="gtin", kind=GTIN),
        text("name", 255, "Merino jumper", "Linen shirt", required=True),
        *sale.SNAPSHOT,
        sale.quantity(),
        amount("unitPrice", required=True),
        amount("listPrice"),
        amount("discountTotal"),
        amount("taxRate"),
        amount("taxTotal"),
        amount("total", required=True),
        choice("type", "product", "service", "giftCard", "shipping", "fee", default="product"),
        *_PROGRESS,
        sale.SOLD_BY,
        DETAILS,
    ),
    least=1,
    most=LINES_MOST,
    derived="order_line_quantities",
)

PAYMENTS = InnerArray(
    key="externalPaymentId",
    members=(
        inner_id("externalPaymentId"),
        choice(
            *("method", "card", "cash", "giftCard", "voucher", "loyaltyPoints", "bnpl", "payLink", "bankTransfer"),
            "other",
            open=True,
        ),
        choice("status", "pending", "authorised", "captured", "failed", "voided", "refunded"),
        amount("amount", required=True),
        Field(name="currency", kind=CURRENCY),
        text("provider", 100, "ExamplePay"),
        text("providerReference", 255, "pay_7f3k"),
        text("cardBrand", 50, "visa", "mastercard"),
        Field(name="last4", kind=Code(pattern="[0-9]{4}", what="the last four digits of a card", like=("4242",))),
        moment("capturedAt"),
        DETAILS,
    ),
    most=PARTS_MOST,
    currency="currency",
    cards_forbidden=True,
)


def _of_lines(**more: Kind) -> Field:
    """Which lines a part of an order is about, and how many of each; without them it is about all."""
    members: dict[str, Kind] = {"externalOrderLineId": EXTERNAL_ID, "quantity": sale.QUANTITY, **more}
    return Field(name="lines", kind=ListOf(Shape(MappingProxyType(members), tuple(members)[:2]), LINES_MOST))


FULFILMENTS = InnerArray(
    key="externalFulfilmentId",
    members=(
        inner_id("externalFulfilmentId"),
        choice("type", "carryOut", "collectInStore", "shipFromStore", "shipFromWarehouse", "digital"),
        choice(
            *("status", "pending", "picking", "packed", "readyToCollect", "shipped", "delivered", "collected"),
            *("cancelled", "failed"),
        ),
        Reference(name="store", to="store", unknown="null", projection=sale.SOMEWHERE),
        text("carrier", 100, "Royal Mail"),
        text("trackingNumber", 255, "RM123456785GB"),
        Field(name="trackingUrl", kind=URL),
        moment("shippedAt"),
        moment("deliveredAt"),
        moment("collectedAt"),
        _of_lines(),
    ),
    most=PARTS_MOST,
    names=(("lines.externalOrderLineId", "lines"),),
)

RETURNS = InnerArray(
    key="externalReturnId",
    members=(
        inner_id("externalReturnId"),
        choice("status", "requested", "received", "inspected", "completed", "rejected"),
        Reference(name="store", to="store", unknown="null", projection=sale.SOMEWHERE),
        Reference(name="user", to="user", unknown="null", projection=sale.SOMEBODY),
        Field(name="reason", kind=_REASON),
        moment("returnedAt"),
        _of_lines(
            reason=_REASON,
            condition=Choice(words=("new", "opened", "used", "damaged"), open=True),
            restock=Boolean(),
        ),
    ),
    most=PARTS_MOST,
    names=(("lines.externalOrderLineId", "lines"),),
)

REFUNDS = InnerArray(
    key="externalRefundId",
    members=(
        inner_id("externalRefundId"),
        inner_id("externalReturnId", required=False),
        inner_id("externalPaymentId", required=False),
        amount("amount", required=True),
        Field(name="reason", kind=_REASON),
        moment("refundedAt"),
    ),
    most=PARTS_MOST,
    names=(("externalReturnId", "returns"), ("externalPaymentId", "payments")),
)

ORDER = Resource(
    name="order",
    plural="orders",
    domain="oms",
    members=(
        text("orderNumber", 100, "WEB-100234", "POS-000871", folded=True),
        sale.CHANNEL,
        choice(
            *("status", "draft", "pending", "confirmed", "processing", "completed", "cancelled", "onHold"),
            default="confirmed",
        ),
        Field(name="paymentStatus", kind=Choice(words=_PAYMENT_STATUSES), derived=Computed("order_payment_status")),
        Field(
            name="fulfilmentStatus",
            kind=Choice(words=_FULFILMENT_STATUSES),
            derived=Computed("order_fulfilment_status"),
        ),
        moment("placedAt", required=True),
        moment("cancelledAt"),
        moment("completedAt"),
        Field(name="currency", kind=CURRENCY, required=True, nullable=False),
        Reference(name="customer", to="customer", projection=_WHOLE_CUSTOMER, indexed=False),
        Field(name="customerEmail", kind=Email(), personal=True),
        Field(name="customerTelephone", kind=Telephone(), personal=True),
        Reference(name="store", to="store", indexed=False),
        sale.SOLD_BY,
        Reference(name="territory", to="territory"),
        Reference(name="client", to="client"),
        Reference(name="basket", to="basket"),
        Reference(name="appointment", to="appointment"),
        Reference(name="originalOrder", to="order"),
        RELATIONS,
        *sale.total(required=True),
        Field(name="billingAddress", kind=ADDRESSEE, personal=True),
        Field(name="shippingAddress", kind=ADDRESSEE, personal=True),
        Field(name="lines", kind=LINES, required=True, nullable=False),
        parts("discounts", sale.discounts("externalOrderLineId")),
        parts("payments", PAYMENTS),
        parts("fulfilments", FULFILMENTS),
        parts("returns", RETURNS),
        parts("refunds", REFUNDS),
        sale.NOTE,
        sale.TAGS,
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalOrderId", "orderNumber"),
    webhook_relations=("customer", "store", "soldBy"),
    indexes=(
        *("placedAt", "orderNumber", "status", "customerEmail"),
        *(("customerId", "placedAt"), ("storeId", "placedAt"), ("soldById", "placedAt")),
    ),
    filters=("channel", "currency", "total", "customerTelephone"),
    finders=(Item("sku", "lines.sku"),),
    currency="currency",
    search=("orderNumber", "customerEmail"),
    remarks=(
        totals.mismatch,
        formats.gtins("lines.gtin"),
        formats.telephones("customerTelephone", "billingAddress.telephone", "shippingAddress.telephone"),
    ),
    plausible=totals.add_up,
)
