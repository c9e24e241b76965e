"""A variant, as far as orders refer to it: it stands in until the catalogue is there."""

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, text
from retailos.declare.resource import Resource

VARIANT = Resource(
    name="variant",
    plural="variants",
    domain="pim",
    members=(text("sku", 100, "MJ-NAVY-M", required=True), DETAILS, REPORTING, CREATED_AT, UPDATED_AT),
    projection=("id", "externalVariantId", "sku"),
)
