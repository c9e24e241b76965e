"""A wishlist: what somebody wants, kept by themselves or put together for them."""

from retailos.declare.field import CREATED_AT, DETAILS, RELATIONS, REPORTING, UPDATED_AT, Field, Reference, text
from retailos.declare.inner import InnerArray, inner_id
from retailos.declare.resource import Resource
from retailos.declare.texts import Text
from retailos.resources import sale
from retailos.resources.sale import choice, moment, parts

#: As long as the lists of others may be; longer ones are nobody's wishes.
ITEMS_MOST = 250

ITEMS = InnerArray(
    key="externalWishlistItemId",
    members=(
        inner_id("externalWishlistItemId", required=False),
        Reference(name="variant", to="variant", projection=sale.VARIANT),
        Reference(name="product", to="product", projection=("id", "externalProductId", "name")),
        sale.quantity(default=1),
        text("note", 1000, "In blue, please."),
        moment("addedAt"),
        Reference(name="addedBy", to="user", unknown="null", projection=sale.SOMEBODY),
        moment("purchasedAt"),
    ),
    most=ITEMS_MOST,
    requires_one_of=("variant", "product"),
)

WISHLIST = Resource(
    name="wishlist",
    plural="wishlists",
    domain="scv",
    members=(
        Reference(name="customer", to="customer", required=True),
        Field(
            name="name", kind=Text(200, folded=True, like=("Birthday", "Autumn")), default="Wishlist", nullable=False
        ),
        choice("type", "wishlist", "lookbook", "savedForLater", "giftRegistry", default="wishlist"),
        Reference(name="createdBy", to="user", unknown="null", projection=sale.SOMEBODY, indexed=False),
        Reference(name="store", to="store"),
        RELATIONS,
        choice("visibility", "private", "shared", default="private"),
        parts("items", ITEMS),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalWishlistId", "name"),
    webhook_relations=("customer", "store"),
    filters=("name", "type", "visibility"),
    search=("name",),
)
