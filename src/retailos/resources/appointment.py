"""An appointment: a customer, or a guest, expected in a store at a time."""

from types import MappingProxyType

from retailos.declare.derived import Inherited
from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, Reference, text
from retailos.declare.resource import Resource
from retailos.declare.rules import Later
from retailos.declare.shapes import Shape
from retailos.declare.texts import TIME_ZONE, Choice, Email, Telephone, Text
from retailos.declare.values import Timestamp
from retailos.resources import formats
from retailos.resources.parts import FIRST_NAMES, LAST_NAMES

_GUEST = Shape(
    MappingProxyType(
        {
            "firstName": Text(100, like=FIRST_NAMES),
            "lastName": Text(100, like=LAST_NAMES),
            "email": Email(),
            "telephone": Telephone(),
        }
    )
)
_TYPES = ("inStore", "virtual", "phone", "personalShopping", "collection", "event")
_STATUSES = (
    *("requested", "confirmed", "declined", "cancelledByCustomer", "cancelledByStore"),
    *("checkedIn", "completed", "noShow"),
)

APPOINTMENT = Resource(
    name="appointment",
    plural="appointments",
    domain="scv",
    members=(
        Reference(name="customer", to="customer"),
        Field(name="guest", kind=_GUEST, personal=True),
        Reference(name="store", to="store", required=True),
        Reference(name="user", to="user"),
        Field(name="type", kind=Choice(words=_TYPES, open=True)),
        text("title", 255, "Winter coats"),
        text("serviceName", 255, "Personal styling"),
        Field(name="startAt", kind=Timestamp(), required=True, nullable=False),
        Field(name="endAt", kind=Timestamp(), required=True, nullable=False),
        Field(name="timezone", kind=TIME_ZONE, derived=Inherited("store", "timezone")),
        Field(name="status", kind=Choice(words=_STATUSES), default="confirmed", nullable=False),
        text("customerNote", 4096, "Looking for a wedding suit.", personal=True),
        text("storeNote", 4096, "Prefers the fitting room at the window.", personal=True),
        Field(name="source", kind=Choice(words=("store", "web", "app", "partner"))),
        text("meetingUrl", 2048, "https://meet.example.com/abc"),
        text("cancelReason", 500, "Ill"),
        Reference(name="order", to="order"),
        Reference(name="wishlist", to="wishlist"),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalAppointmentId", "startAt", "endAt", "status"),
    webhook_relations=("customer", "store", "user"),
    indexes=(("storeId", "startAt"), ("userId", "startAt")),
    rules=(Later("endAt", "startAt", hours=24),),
    filters=("type", "status", "source"),
    remarks=(formats.telephones("guest.telephone"),),
)
