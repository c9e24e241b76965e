"""A department: a part of a store; departments nest."""

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Reference, text
from retailos.declare.resource import Resource

DEPARTMENT = Resource(
    name="department",
    plural="departments",
    domain="org",
    members=(
        text("name", 100, "Menswear", "Footwear", "Beauty", folded=True, required=True),
        Reference(name="store", to="store"),
        Reference(name="parent", to="department", levels=10),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalDepartmentId", "name"),
    indexes=("name",),
    search=("name",),
)
