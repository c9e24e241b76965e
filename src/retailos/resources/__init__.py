"""Every kind of record: one declaration a file, listed here."""

from retailos.declare.resource import Resources
from retailos.resources.basket import BASKET
from retailos.resources.client import CLIENT
from retailos.resources.customer import CUSTOMER
from retailos.resources.department import DEPARTMENT
from retailos.resources.order import ORDER
from retailos.resources.product import PRODUCT
from retailos.resources.promotion import PROMOTION
from retailos.resources.region import REGION
from retailos.resources.store import STORE
from retailos.resources.territory import TERRITORY
from retailos.resources.user import USER
from retailos.resources.variant import VARIANT
from retailos.resources.wishlist import WISHLIST

RESOURCES = Resources(
    (
        *(CUSTOMER, USER, STORE, TERRITORY, REGION, DEPARTMENT, CLIENT),
        *(ORDER, BASKET, WISHLIST),
        *(PRODUCT, VARIANT, PROMOTION),
    )
)
