"""A client: one retailer brand, and not the tenant of the API."""

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, text
from retailos.declare.resource import Resource
from retailos.declare.texts import CURRENCY, SLUG, Choice

CLIENT = Resource(
    name="client",
    plural="clients",
    domain="org",
    members=(
        text("name", 100, "Northwind", "Maison Rivoli", folded=True, required=True),
        Field(name="code", kind=SLUG),
        text("logo", 2048, "https://images.example.com/logo.svg"),
        Field(name="defaultCurrency", kind=CURRENCY),
        Field(name="status", kind=Choice(words=("active", "archived")), default="active", nullable=False),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalClientId", "name"),
    indexes=("name",),
    unique=("code",),
    filters=("status",),
    search=("name",),
)
