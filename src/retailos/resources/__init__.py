"""Every kind of record: one declaration a file, listed here."""

from retailos.declare.resource import Resources
from retailos.resources.appointment import APPOINTMENT
from retailos.resources.basket import BASKET
from retailos.resources.category import CATEGORY
from retailos.resources.client import CLIENT
from retailos.resources.consent_event import CONSENT_EVENT
from retailos.resources.customer import CUSTOMER
from retailos.resources.customer_assignment import CUSTOMER_ASSIGNMENT
from retailos.resources.customer_note import CUSTOMER_NOTE
from retailos.resources.department import DEPARTMENT
from retailos.resources.interaction import INTERACTION
from retailos.resources.loyalty_account import LOYALTY_ACCOUNT
from retailos.resources.order import ORDER
from retailos.resources.price import PRICE
from retailos.resources.product import PRODUCT
from retailos.resources.promotion import PROMOTION
from retailos.resources.region import REGION
from retailos.resources.stock_level import STOCK_LEVEL
from retailos.resources.store import STORE
from retailos.resources.task import TASK
from retailos.resources.territory import TERRITORY
from retailos.resources.user import USER
from retailos.resources.variant import VARIANT
from retailos.resources.wishlist import WISHLIST

RESOURCES = Resources(
    (
        *(CUSTOMER, USER, STORE, TERRITORY, REGION, DEPARTMENT, CLIENT),
        *(PRODUCT, VARIANT, CATEGORY, PRICE, STOCK_LEVEL),
        *(ORDER, BASKET, WISHLIST),
        *(APPOINTMENT, CUSTOMER_NOTE, INTERACTION, TASK),
        *(PROMOTION, LOYALTY_ACCOUNT, CONSENT_EVENT, CUSTOMER_ASSIGNMENT),
    )
)
