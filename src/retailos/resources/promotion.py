"""A promotion, as far as orders refer to it: it stands in until the catalogue is there."""

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, text
from retailos.declare.resource import Resource

PROMOTION = Resource(
    name="promotion",
    plural="promotions",
    domain="oms",
    members=(
        text("name", 255, "Ten per cent off", required=True),
        text("code", 100, "WELCOME10"),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalPromotionId", "name", "code"),
)
