"""A product: what a brand sells, in one or more variants, which are written on their own."""

from types import MappingProxyType

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, Reference, text
from retailos.declare.finders import Item, Through
from retailos.declare.resource import Resource
from retailos.declare.shapes import FreeJson, ListOf, Shape
from retailos.declare.texts import COUNTRY, DAY, Choice, Text
from retailos.declare.values import Number
from retailos.resources.parts import HTTPS, TAGS

_IMAGES = ListOf(
    Shape(
        MappingProxyType(
            {"url": HTTPS, "alt": Text(500), "position": Number(0, 10_000), "variantExternalId": Text(255, least=1)}
        ),
        ("url",),
    ),
    100,
)

PRODUCT = Resource(
    name="product",
    plural="products",
    domain="pim",
    members=(
        text("name", 255, "Oxford Shirt", "Wool Coat", "Derby Shoe", folded=True, required=True),
        text("description", 20_000, "Made to be worn."),
        Field(name="status", kind=Choice(words=("draft", "active", "archived")), default="active", nullable=False),
        Reference(name="client", to="client"),
        text("brandName", 100, "Northwind"),
        text("productType", 100, "Shirt", "Coat"),
        Field(name="catalogues", kind=ListOf(Text(100, like=("UK Domestic",)), 100), default=[], nullable=False),
        Reference(name="categories", to="category", ids="categoryIds"),
        Field(name="attributes", kind=FreeJson(object_only=True), default={}, nullable=False),
        Field(name="translations", kind=FreeJson(object_only=True), default={}, nullable=False),
        Field(name="images", kind=_IMAGES, default=[], nullable=False),
        Field(name="tags", kind=TAGS, default=[], nullable=False),
        text("taxCode", 50, "standard"),
        text("hsCode", 20, "6205.20"),
        Field(name="countryOfOrigin", kind=COUNTRY),
        text("season", 50, "AW26"),
        Field(name="launchDate", kind=DAY),
        Field(name="endDate", kind=DAY),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalProductId", "name"),
    webhook_relations=("client", "categories"),
    indexes=("name", "status"),
    finders=(
        Item("catalogue", "catalogues"),
        Item("tag", "tags"),
        Through("category.externalCategoryId", "categories", "externalCategoryId"),
    ),
    search=("name",),
)
