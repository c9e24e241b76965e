"""A category: a branch of the tree that products are shown in."""

from retailos.declare.derived import Level, Path
from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, Reference, text
from retailos.declare.resource import Resource
from retailos.declare.shapes import ListOf
from retailos.declare.texts import SLUG, Choice
from retailos.declare.values import Number, Uuid
from retailos.resources.parts import HTTPS

_LEVELS = 20

CATEGORY = Resource(
    name="category",
    plural="categories",
    domain="pim",
    members=(
        text("name", 200, "Shirts", "Coats", "Shoes", folded=True, required=True),
        Field(name="slug", kind=SLUG),
        Reference(name="parent", to="category", levels=_LEVELS),
        Field(name="position", kind=Number(0, 1_000_000, like=(0, 1, 2))),
        text("catalogue", 100, "UK Domestic", "EU"),
        Field(name="status", kind=Choice(words=("active", "archived")), default="active", nullable=False),
        Field(name="imageUrl", kind=HTTPS),
        Field(name="path", kind=ListOf(Uuid(), _LEVELS), read_only=True, nullable=False, derived=Path("parent")),
        Field(name="level", kind=Number(1, _LEVELS), read_only=True, nullable=False, derived=Level("parent")),
        DETAILS,
        REPORTING,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalCategoryId", "name"),
    webhook_relations=("parent",),
    indexes=("name", "catalogue"),
    filters=("slug", "status"),
    search=("name",),
)
