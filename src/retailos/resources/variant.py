"""A variant: one colour and size of a product, and so what is stocked, priced and sold; a SKU."""

from retailos.declare.derived import SameAsExternalId
from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, Reference, text
from retailos.declare.finders import Item
from retailos.declare.resource import Resource
from retailos.declare.rules import Together
from retailos.declare.shapes import FreeJson, ListOf
from retailos.declare.texts import Choice, Text
from retailos.declare.values import Number
from retailos.resources import formats
from retailos.resources.parts import GTIN, IMAGES

_MILLIMETRES = Number(0, 1_000_000, like=(300, 20))

VARIANT = Resource(
    name="variant",
    plural="variants",
    domain="pim",
    members=(
        Reference(name="product", to="product", required=True),
        Field(name="sku", kind=Text(100, least=1, like=("OXF-NVY-M",)), derived=SameAsExternalId()),
        Field(name="gtin", kind=GTIN),
        Field(
            name="barcodes", kind=ListOf(Text(100, least=1, like=("2000000012345",)), 100), default=[], nullable=False
        ),
        text("name", 255, "Oxford Shirt, navy, M"),
        Field(name="options", kind=FreeJson(object_only=True), default={}, nullable=False),
        Field(name="status", kind=Choice(words=("active", "archived")), default="active", nullable=False),
        Field(name="weightGrams", kind=Number(0, 10_000_000, like=(250, 1200))),
        Field(name="lengthMm", kind=_MILLIMETRES),
        Field(name="widthMm", kind=_MILLIMETRES),
        Field(name="heightMm", kind=_MILLIMETRES),
        Field(name="images", kind=IMAGES, default=[], nullable=False),
        Field(name="attributes", kind=FreeJson(object_only=True), default={}, nullable=False),
        Field(name="position", kind=Number(0, 1_000_000, like=(0, 1, 2))),
        Reference(name="client", to="client"),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalVariantId", "sku"),
    webhook_relations=("product",),
    indexes=("sku", "gtin"),
    together=(Together(("clientId", "sku")),),
    differing=(Together(("productId", "options")),),
    filters=("status",),
    finders=(Item("barcode", "barcodes"),),
    search=("sku", "gtin"),
    remarks=(formats.gtins("gtin"),),
)
