"""A price: what a variant costs, somewhere or everywhere, for a time or for good."""

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, Reference
from retailos.declare.finders import During, Through
from retailos.declare.money import Money
from retailos.declare.resource import Resource
from retailos.declare.rules import AtMostOne, Later, Together
from retailos.declare.texts import CURRENCY, Choice, Text
from retailos.declare.values import Boolean, Number, Timestamp

_SCOPE = ("storeId", "regionId", "territoryId")

PRICE = Resource(
    name="price",
    plural="prices",
    domain="pim",
    members=(
        Reference(name="variant", to="variant", required=True),
        Field(name="currency", kind=CURRENCY, required=True, nullable=False),
        Field(name="amount", kind=Money(least=0), required=True, nullable=False),
        Field(name="compareAtAmount", kind=Money(least=0, like=("150.00",))),
        Field(name="taxIncluded", kind=Boolean(), default=True, nullable=False),
        Reference(name="store", to="store"),
        Reference(name="region", to="region"),
        Reference(name="territory", to="territory"),
        Field(name="priceList", kind=Text(100, least=1, like=("default", "staff")), default="default", nullable=False),
        Field(name="minQuantity", kind=Number(1, 1_000_000, like=(1, 10)), default=1, nullable=False),
        Field(name="validFrom", kind=Timestamp()),
        Field(name="validUntil", kind=Timestamp()),
        Field(name="type", kind=Choice(words=("regular", "sale", "clearance")), default="regular", nullable=False),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalPriceId", "currency", "amount"),
    webhook_relations=("variant", "store"),
    indexes=("amount",),
    together=(Together(("variantId", "currency", *_SCOPE, "priceList", "minQuantity", "type", "validFrom")),),
    rules=(AtMostOne(_SCOPE), Later("validUntil", "validFrom")),
    finders=(Through("sku", "variant", "sku"), During("validAt", "validFrom", "validUntil")),
    currency="currency",
)
