"""A region: a group of stores within a territory; regions nest."""

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Reference, text
from retailos.declare.resource import Resource

REGION = Resource(
    name="region",
    plural="regions",
    domain="org",
    members=(
        text("name", 100, "South East", "Île-de-France", folded=True, required=True),
        Reference(name="territory", to="territory"),
        Reference(name="parent", to="region", levels=10),
        Reference(name="manager", to="user", indexed=False),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalRegionId", "name"),
    indexes=("name",),
    search=("name",),
)
