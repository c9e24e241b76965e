"""A webhook's shape: which fields and projections of a record go out, how much of a user, how a deletion is told."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Self

from retailos.declare import field
from retailos.declare.field import Field, Reference
from retailos.declare.names import a, did_you_mean
from retailos.declare.resource import Resource
from retailos.declare.shapes import ListOf
from retailos.declare.texts import Choice, Text
from retailos.errors import Problem

#: Far more than any resource has.
_NAMES_MOST: Final = 200
#: A user in a record, where nobody needs to know more than who it was: no telephone and no date of birth.
MINIMAL_USER: Final = ("id", "externalUserId", "firstName", "lastName")
#: They go out whatever is named: which state of the record it is, and whether that is gone.
_ALWAYS: Final = tuple(each.name for each in field.BOOKKEEPING if each.name in ("version", "deletedAt"))

#: The words for it in a webhook.
FIELDS: Final = (
    Field(
        name="fields",
        kind=ListOf(Text(100, least=1, like=("email",)), _NAMES_MOST),
        default=[],
        nullable=False,
        spelled_out=True,
    ),
    Field(name="userProjection", kind=Choice(words=("full", "minimal")), default="full", nullable=False),
    Field(name="onDelete", kind=Choice(words=("send", "delete")), default="send", nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What of a record goes out."""

    #: Names of fields and relations; none: all fields, and the relations that the guide shows.
    fields: tuple[str, ...] = ()
    user_projection: Literal["full", "minimal"] = "full"
    #: A deleted record is sent as it was, with its `deletedAt`, or told by an HTTP DELETE without a body.
    on_delete: Literal["send", "delete"] = "send"

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Read it from a webhook's settings."""
        return cls(
            fields=tuple(settings["fields"]),
            user_projection=settings["userProjection"],
            on_delete=settings["onDelete"],
        )


def shown_by(shape: Shape, resource: Resource) -> tuple[Field | Reference, ...]:
    """The members of a record that go out, in the entity's order."""
    return tuple(_projected(shape, each) for each in resource.shown if _goes_out(shape, resource, each))


def shape_problems(resource: Resource, values: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the names of a shape."""
    known = [each.name for each in resource.shown]
    for i, name in enumerate(values["fields"]):
        if name not in known:
            hint = did_you_mean(name, known)
            message = f"expected fields and relations of {a(resource.name)}, got {name!r}{hint}"
            yield Problem(f"/fields/{i}", "UNKNOWN_FIELD", message)


def _goes_out(shape: Shape, resource: Resource, member: Field | Reference) -> bool:
    if shape.fields:
        return member.name in (*shape.fields, resource.external_id.name, *_ALWAYS)
    return isinstance(member, Field) or member.name in resource.webhook_relations


def _projected(shape: Shape, member: Field | Reference) -> Field | Reference:
    if shape.user_projection == "minimal" and isinstance(member, Reference) and member.to == "user":
        return replace(member, projection=MINIMAL_USER)
    return member
