"""One attribute of a resource, and one reference to another: the words that declarations are written with."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, Literal

from retailos.declare.derived import Default, Inherited, Lineage
from retailos.declare.kind import Kind
from retailos.declare.shapes import FreeJson, ListOf
from retailos.declare.texts import ExternalId, Text
from retailos.declare.values import Boolean, Number, Timestamp, Uuid

EXTERNAL_ID = ExternalId()
#: Ids in one field that refers to many.
MANY = 500


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """One attribute: its name on the wire, how it is read, and what is true of it.

    A field lives in the record's JSON body, unless `at` names the column that holds it. Absent from the body it
    reads as `default`, so a field can be added, with its default, without touching a stored row.
    """

    name: str
    kind: Kind
    required: bool = False
    default: Any = None
    #: Set by the server; what a caller sends is ignored, so that a record that was read can be sent back.
    read_only: bool = False
    #: Redacted in logs, masked in the console, reached by erasure.
    personal: bool = False
    #: Allows what is forbidden without it; records that are merged allow it where every one of them does.
    consent: bool = False
    #: The column that holds it, for what every record has; None: it is a member of the body.
    at: str | None = None
    nullable: bool = True
    #: Its default lets in or out the most there is, so it has to be meant: null, which an oversight sends, is refused.
    spelled_out: bool = False
    #: What it follows from while nobody sends it, or always.
    derived: Default | Inherited | Lineage | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """A field `<name>Id` that holds another record's id, and the object `<name>` that shows that record.

    `projection` names the fields that the object shows; without it, the target's own projection is shown.
    """

    name: str
    to: str
    required: bool = False
    indexed: bool = True
    projection: tuple[str, ...] = ()
    #: Records that refer to their own kind form a tree of at most this many levels; 0: they need not.
    levels: int = 0
    #: What becomes of it where no such record is known: the write is refused, or it is "null" and a warning.
    unknown: Literal["refused", "null"] = "refused"
    #: Refers to many: the field is `ids`, an array, and the object an array of objects.
    ids: str = ""

    @cached_property
    def id_field(self) -> Field:
        """The field that holds the id, or the ids."""
        if self.ids:
            return Field(name=self.ids, kind=ListOf(Uuid(), MANY), default=[], nullable=False)
        return Field(name=f"{self.name}Id", kind=Uuid(), required=self.required)


@dataclass(frozen=True, slots=True)
class NaturalKey:
    """Two references that name a record as well as its external id does, which is made of theirs unless it is sent.

    `segment` stands between the two in the path by which it is written: `/stores/external/…/stock/…`.
    """

    references: tuple[str, str]
    segment: str

    def external_id(self, names: Iterable[str]) -> str:
        """Make the external id of the two others': `<store>:<variant>`, which no other two make.

        Within each of them a tilde is `~0` and a colon `~1`, as JSON pointers have it: no part of a URL has to be
        encoded twice. What would be too long is told by its digest, which has no colon, as all others have.
        """
        joined = ":".join(each.replace("~", "~0").replace(":", "~1") for each in names)
        return joined if len(joined) <= EXTERNAL_ID.most else "~" + blake2b(joined.encode(), digest_size=32).hexdigest()


@dataclass(frozen=True, slots=True)
class Relations:
    """The place, among the fields, where the objects of the references stand."""


RELATIONS = Relations()

Member = Field | Reference | Relations

ID = Field(name="id", kind=Uuid(), read_only=True, at="id", nullable=False)
CREATED_AT = Field(name="createdAt", kind=Timestamp(True), read_only=True, at="created_at", nullable=False)
UPDATED_AT = Field(name="updatedAt", kind=Timestamp(True), read_only=True, at="updated_at", nullable=False)
#: Additions to the guide's fields that every record has; they stay out of the nested projections.
BOOKKEEPING = (
    Field(name="version", kind=Number(1, 2**31 - 1), read_only=True, at="version", nullable=False),
    Field(name="deletedAt", kind=Timestamp(True), read_only=True, at="deleted_at"),
    Field(name="sourceUpdatedAt", kind=Timestamp(True), at="source_updated_at"),
)


def external_id(resource: str) -> Field:
    """The field that holds the caller's own id of the record: `customer` has `externalCustomerId`."""
    name = f"external{resource[0].upper()}{resource[1:]}Id"
    return Field(name=name, kind=EXTERNAL_ID, at="external_id", personal=True, nullable=False)


def text(
    name: str, most: int, *like: str, folded: bool = False, required: bool = False, personal: bool = False
) -> Field:
    """A field of free text; `like` are examples, shown in the documents and used for sample data."""
    kind = Text(most, folded=folded, least=1 if required else 0, like=like or ("Example",))
    return Field(name=name, kind=kind, required=required, personal=personal, nullable=not required)


def flag(name: str, *, only: bool | None = None, consent: bool = False) -> Field:
    """A boolean field that is false until it is set."""
    return Field(name=name, kind=Boolean(only=only), default=False, nullable=False, consent=consent)


def free_object(name: str) -> Field:
    """A field for free JSON of the caller's own; null means the empty object."""
    return Field(name=name, kind=FreeJson(object_only=True), default={}, personal=True, nullable=False)


def switch(name: str) -> Field:
    """A flag of what a request is to do; null, which may come of a mistake, is not taken for no."""
    return Field(name=name, kind=Boolean(), default=False, nullable=False, spelled_out=True)


DETAILS = free_object("details")
REPORTING = free_object("reporting")


def snake(name: str) -> str:
    """The column's name for a path: `registeredAtId` is `registered_at_id`, `address.postCode` `address_post_code`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).replace(".", "_").replace("-", "_").lower()
