"""A territory: a market, such as a country, below a client and above its regions."""

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, text
from retailos.declare.resource import Resource
from retailos.declare.shapes import ListOf
from retailos.declare.texts import COUNTRY, CURRENCY, LOCALE

TERRITORY = Resource(
    name="territory",
    plural="territories",
    domain="org",
    members=(
        text("name", 100, "UK", "France", folded=True, required=True),
        Field(name="countryCodes", kind=ListOf(COUNTRY, 250), default=[], nullable=False),
        Field(name="currency", kind=CURRENCY),
        Field(name="defaultLocale", kind=LOCALE),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "name", "details"),
    indexes=("name",),
    search=("name",),
)
