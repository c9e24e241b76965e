"""A promotion: what is taken off, where and for how long; its source works out the amounts."""

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, Reference, flag, text
from retailos.declare.finders import During, Through
from retailos.declare.money import Money
from retailos.declare.resource import Resource
from retailos.declare.rules import Later
from retailos.declare.texts import CURRENCY, Choice
from retailos.declare.values import Timestamp

PROMOTION = Resource(
    name="promotion",
    plural="promotions",
    domain="oms",
    members=(
        text("name", 255, "Winter sale", "Members' evening", folded=True, required=True),
        text("code", 100, "WINTER26", "MEMBERS"),
        Field(name="type", kind=Choice(words=("percentage", "fixed", "freeItem"), open=True)),
        Field(name="value", kind=Money(least=0, like=("10.00", "25.00"))),
        Field(name="currency", kind=CURRENCY),
        Field(name="validFrom", kind=Timestamp()),
        Field(name="validUntil", kind=Timestamp()),
        Reference(name="territories", to="territory", ids="territoryIds"),
        Reference(name="stores", to="store", ids="storeIds", projection=("id", "externalStoreId", "name")),
        flag("stackable"),
        Field(
            name="status", kind=Choice(words=("draft", "active", "paused", "ended")), default="active", nullable=False
        ),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalPromotionId", "name", "code"),
    webhook_relations=("territories", "stores"),
    indexes=("name", "code"),
    rules=(Later("validUntil", "validFrom"),),
    filters=("type", "status", "stackable"),
    finders=(
        During("validAt", "validFrom", "validUntil"),
        Through("store.externalStoreId", "stores", "externalStoreId"),
    ),
    search=("name", "code"),
    currency="currency",
)
