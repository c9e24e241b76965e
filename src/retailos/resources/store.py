"""A store: a place that sells or keeps stock."""

from types import MappingProxyType

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, Reference, text
from retailos.declare.resource import Resource
from retailos.declare.shapes import FreeJson, ListOf, Shape
from retailos.declare.texts import COUNTRY, CURRENCY, DAY, GLN, LOCALE, TIME_OF_DAY, TIME_ZONE, Choice, Email, Telephone
from retailos.declare.values import Boolean, Number
from retailos.resources import formats
from retailos.resources.parts import ADDRESS, IMAGES

_HOURS = Shape(
    MappingProxyType({"day": Number(1, 7), "opens": TIME_OF_DAY, "closes": TIME_OF_DAY}), ("day", "opens", "closes")
)
_EXCEPTION = Shape(
    MappingProxyType({"date": DAY, "closed": Boolean(), "opens": TIME_OF_DAY, "closes": TIME_OF_DAY}), ("date",)
)

STORE = Resource(
    name="store",
    plural="stores",
    domain="org",
    members=(
        text("name", 200, "Covent Garden", "Oxford Street", "Le Marais", folded=True, required=True),
        text("catalogue", 100, "UK Domestic", "EU"),
        Field(name="images", kind=IMAGES, default=[], nullable=False),
        REPORTING,
        Field(name="salesTarget", kind=FreeJson(), default=[]),
        DETAILS,
        Reference(name="client", to="client"),
        Reference(name="region", to="region"),
        CREATED_AT,
        UPDATED_AT,
        Field(
            name="status",
            kind=Choice(words=("open", "temporarilyClosed", "closed")),
            default="open",
            nullable=False,
        ),
        Field(name="type", kind=Choice(words=("store", "warehouse", "popUp", "concession", "online"), open=True)),
        Field(name="address", kind=ADDRESS),
        Field(name="telephone", kind=Telephone()),
        Field(name="email", kind=Email()),
        Field(name="countryCode", kind=COUNTRY),
        Field(name="currency", kind=CURRENCY),
        Field(name="timezone", kind=TIME_ZONE),
        Field(name="locale", kind=LOCALE),
        Field(name="latitude", kind=Number(-90, 90, places=6)),
        Field(name="longitude", kind=Number(-180, 180, places=6)),
        Field(name="openingHours", kind=ListOf(_HOURS, 50), default=[], nullable=False),
        Field(name="openingExceptions", kind=ListOf(_EXCEPTION, 500), default=[], nullable=False),
        Field(name="gln", kind=GLN),
    ),
    projection=(
        "id",
        "externalStoreId",
        "name",
        "catalogue",
        "images",
        "reporting",
        "salesTarget",
        "details",
        "clientId",
        "regionId",
    ),
    indexes=("name", "catalogue", ("latitude", "longitude")),
    filters=("status",),
    remarks=(formats.telephones("telephone"),),
    search=("name",),
    place=("latitude", "longitude"),
)
