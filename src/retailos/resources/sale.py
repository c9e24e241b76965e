"""What orders and baskets share: amounts, choices and moments, what a line says of a thing, and the totals."""

from retailos.declare.field import Field, Reference, text
from retailos.declare.inner import InnerArray, inner_id
from retailos.declare.money import Money
from retailos.declare.shapes import FreeJson, ListOf
from retailos.declare.texts import Choice, Text
from retailos.declare.values import Boolean, Number, Timestamp
from retailos.resources.parts import URL

#: An order of a thousand lines fits into the body of one request.
LINES_MOST = 1_000
#: More discounts, payments, parcels or returns than any order has had.
PARTS_MOST = 1_000
#: No till can count more of one thing.
QUANTITY = Number(1, 1_000_000)
#: What is shown, within others, of who did something and where.
SOMEBODY = ("id", "externalUserId", "firstName", "lastName")
SOMEWHERE = ("id", "externalStoreId", "name")


def amount(name: str, *, required: bool = False) -> Field:
    """A field for an amount in the currency of the record."""
    return Field(name=name, kind=Money(), required=required, nullable=not required)


def choice(name: str, *words: str, open: bool = False, default: str | None = None) -> Field:
    """A field for one of these words."""
    return Field(name=name, kind=Choice(words=words, open=open), default=default, nullable=default is None)


def moment(name: str, *, required: bool = False) -> Field:
    """A field for a moment."""
    return Field(name=name, kind=Timestamp(), required=required, nullable=not required)


def quantity(*, default: int | None = None) -> Field:
    """A field for how many; required, unless it has a default."""
    return Field(name="quantity", kind=QUANTITY, required=default is None, default=default, nullable=False)


def parts(name: str, kind: InnerArray) -> Field:
    """A field for an array of objects that is empty until it is sent."""
    return Field(name=name, kind=kind, default=[], nullable=False)


CHANNEL = choice(
    *("channel", "store", "web", "app", "phone", "remote", "marketplace", "social"), open=True, default="store"
)
#: What a line tells of the thing itself: as it was at the time, since catalogues change.
SNAPSHOT = (
    Field(name="options", kind=FreeJson(object_only=True), default={}, nullable=False),
    Field(name="imageUrl", kind=URL),
)
POSITION = Field(name="position", kind=Number(0, 1_000_000))
SOLD_BY = Reference(name="soldBy", to="user", unknown="null", projection=SOMEBODY, indexed=False)
VARIANT = ("id", "externalVariantId", "sku")
TAGS = Field(name="tags", kind=ListOf(Text(100, least=1, like=("gift",)), 100), default=[], nullable=False)
NOTE = text("note", 4096, "Please wrap each one.", personal=True)


def total(*, required: bool) -> tuple[Field, ...]:
    """The fields of the source's totals."""
    each = ("subtotal", "discountTotal", "shippingTotal", "taxTotal")
    included = Field(name="taxIncluded", kind=Boolean(), default=True, nullable=False)
    return (*(amount(name) for name in each), amount("total", required=required), included)


def discounts(line_key: str) -> InnerArray:
    """Discounts, one of which may be a line's: it names the line by the line's external id, `line_key`."""
    return InnerArray(
        key="externalDiscountId",
        members=(
            inner_id("externalDiscountId", required=False),
            Reference(name="promotion", to="promotion", unknown="null"),
            text("code", 100, "WELCOME10"),
            text("name", 255, "Ten per cent off", required=True),
            choice("scope", "order", "line", "shipping"),
            inner_id(line_key, required=False),
            choice("type", "percentage", "fixed", "freeItem"),
            amount("value"),
            amount("amount", required=True),
        ),
        most=PARTS_MOST,
        names=((line_key, "lines"),),
    )
