"""What a webhook is told of, of all that its resource's records do: the newest state or every change, of which records.

It is decided when a delivery is about to be sent, since the write of a record must not wait for it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Self

from retailos.declare.field import Field
from retailos.declare.finders import During
from retailos.declare.kind import Kind
from retailos.declare.names import a, did_you_mean
from retailos.declare.resource import Resource, Resources
from retailos.declare.shapes import FreeJson, ListOf, escaped
from retailos.declare.texts import Choice, Text
from retailos.errors import Problem
from retailos.records.query import Filter, filterable

#: Far more fields than any resource has, and more values and keys than anybody can keep in mind.
_NAMES_MOST: Final = 200
VALUES_MOST: Final = 100


class KeyIds(ListOf):
    """Ids of API keys; which there are, an example can't know."""

    def sample(self, random: Random) -> list[Any]:
        """None."""
        return []


#: The words for it in a webhook.
FIELDS: Final = (
    Field(name="sends", kind=Choice(words=("latest", "every")), default="latest", nullable=False),
    Field(name="onExhausted", kind=Choice(words=("hold", "skip")), default="hold", nullable=False),
    Field(name="where", kind=FreeJson(object_only=True), default={}, nullable=False, spelled_out=True),
    Field(
        name="whenChanged", kind=ListOf(Text(100, least=1, like=("email",)), _NAMES_MOST), default=[], nullable=False
    ),
    Field(name="suppressEcho", kind=KeyIds(Text(10, least=10), VALUES_MOST), default=[], nullable=False),
    Field(name="onRelationChange", kind=Choice(words=("ignore", "mark")), default="ignore", nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What of all that happens a webhook is told of."""

    #: Each change in its order, from its own snapshot; else the newest state.
    every: bool = False
    #: Where every change is sent, the next one follows one that failed; else it waits until that is requeued.
    skips: bool = False
    #: Paths that a list can be filtered by, each with the value that a record must have, or an array of such values.
    where: Mapping[str, Any]
    #: Fields of which one must have changed since what the receiver acknowledged; none: any.
    when_changed: tuple[str, ...] = ()
    #: Ids of API keys: what came with these is known where it came from.
    suppress_echo: tuple[str, ...] = ()
    #: Also of what changes in the records that are shown within those of its resource.
    marks: bool = False

    @property
    def sifts(self) -> bool:
        """Whether there may be something that need not be sent."""
        return bool(self.where or self.when_changed or self.suppress_echo or self.marks)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Read it from a webhook's settings."""
        every = settings["sends"] == "every"
        return cls(
            every=every,
            skips=every and settings["onExhausted"] == "skip",
            where=settings["where"],
            when_changed=tuple(settings["whenChanged"]),
            suppress_echo=tuple(settings["suppressEcho"]),
            marks=settings["onRelationChange"] == "mark",
        )


def filters(scope: Scope, resources: Resources, resource: Resource) -> tuple[Filter, ...]:
    """The filters that a record must pass, of a scope that was checked."""
    known = _known(resources, resource)
    return tuple(_filter(known[path], path, value) for path, value in scope.where.items())


def scope_problems(resources: Resources, resource: Resource, values: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the names and values of a scope."""
    for i, name in enumerate(values["whenChanged"]):
        if name not in resource.fields:
            message = f"expected fields of {a(resource.name)}, got {name!r}{did_you_mean(name, resource.fields)}"
            yield Problem(f"/whenChanged/{i}", "UNKNOWN_FIELD", message)
    known = _known(resources, resource)
    for path, value in values["where"].items():
        at = f"/where/{escaped(path)}"
        if path not in known:
            hint = did_you_mean(path, known) or "; any that a list can be filtered by"
            yield Problem(at, "UNKNOWN_FIELD", f"expected fields of {a(resource.name)}, got {path[:100]!r}{hint}")
        elif isinstance(value, dict) or (isinstance(value, list) and not 1 <= len(value) <= VALUES_MOST):
            yield Problem(at, "WRONG_TYPE", f"expected a value, or an array of 1 to {VALUES_MOST} values")
        else:
            try:
                _filter(known[path], path, value)
            except ValueError as error:
                yield Problem(at, "INVALID_VALUE", str(error))


def _known(resources: Resources, resource: Resource) -> dict[str, Kind]:
    """What a list can be filtered by, but for finders that ask for a moment."""
    moments = {each.name for each in resource.finders if isinstance(each, During)}
    return {path: kind for path, kind in filterable(resources, resource).items() if path not in moments}


def _filter(kind: Kind, path: str, value: Any) -> Filter:
    if isinstance(value, list):
        return Filter(path, "in", [_parsed(kind, each) for each in value])
    return Filter(path, "eq", _parsed(kind, value))


def _parsed(kind: Kind, value: Any) -> Any:
    if value is None or isinstance(value, dict | list):
        raise ValueError("expected a string, a number or a boolean")
    return kind.parse(str(value).lower() if isinstance(value, bool) else str(value))
