"""A product, as far as orders refer to it: it stands in until the catalogue is there."""

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, text
from retailos.declare.resource import Resource

PRODUCT = Resource(
    name="product",
    plural="products",
    domain="pim",
    members=(text("name", 255, "Merino jumper", required=True), DETAILS, REPORTING, CREATED_AT, UPDATED_AT),
    projection=("id", "externalProductId", "name"),
)
