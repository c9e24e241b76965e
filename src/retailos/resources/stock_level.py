"""A stock level: how many of a variant there are in a store, in absolute numbers."""

from retailos.declare.derived import Difference
from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, NaturalKey, Reference
from retailos.declare.finders import Through
from retailos.declare.resource import Resource
from retailos.declare.rules import Together
from retailos.declare.values import Number, Timestamp

_MOST = 1_000_000_000


def _count(name: str, *like: int) -> Field:
    """A number of pieces, none unless it is sent."""
    return Field(name=name, kind=Number(0, _MOST, like=like), default=0, nullable=False)


STOCK_LEVEL = Resource(
    name="stockLevel",
    plural="stockLevels",
    domain="inv",
    members=(
        Reference(name="variant", to="variant", required=True),
        Reference(name="store", to="store", required=True),
        # What was sold and not yet booked in is less than nothing.
        Field(name="onHand", kind=Number(-_MOST, _MOST, like=(12, 0, 40)), required=True, nullable=False),
        _count("reserved", 2, 0),
        Field(
            name="available",
            kind=Number(-2 * _MOST, _MOST, like=(9, 0, 35)),
            derived=Difference(("onHand", "reserved", "safetyStock")),
        ),
        _count("incoming", 24, 0),
        _count("safetyStock", 1, 5),
        _count("damaged", 1, 0),
        Field(name="expectedAt", kind=Timestamp()),
        Field(name="restockableInDays", kind=Number(0, 36_500, like=(14,))),
        Field(name="countedAt", kind=Timestamp()),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalStockLevelId", "onHand", "available"),
    webhook_relations=("variant", "store"),
    indexes=("available",),
    together=(Together(("variantId", "storeId")),),
    finders=(Through("sku", "variant", "sku"),),
    natural_key=NaturalKey(("store", "variant"), "stock"),
)
