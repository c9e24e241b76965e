"""What a list asks for: query text in, a checked Query out, or every problem with it at once.

What is refused here: parameters, fields, sorts, filters and operators that the resource does not have, values of
another kind, numbers beyond the limits. A mistyped filter that were ignored would return every customer.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from retailos.declare.field import Field, Reference
from retailos.declare.finders import During
from retailos.declare.kind import Kind, storable
from retailos.declare.names import did_you_mean
from retailos.declare.resource import Resource, Resources
from retailos.declare.texts import Text
from retailos.declare.values import Boolean
from retailos.errors import OffsetTooLarge, Problem, UnknownParameter, ValidationFailed
from retailos.records import cursor

#: The default of a number that was not given.
N = TypeVar("N", int, None)

LIMIT_DEFAULT = 50
#: A page of 500 customers is about 500 KB, and 6 ms of work for the database.
LIMIT_MOST = 500
#: Beyond it the database would read and drop more rows than it returns by far.
OFFSET_MOST = 10_000
#: More than any list needs; each is a condition of the statement.
PARAMETERS_MOST = 50
#: Values of one `[in]`.
VALUES_MOST = 500

#: Lists of words: `fields=id,email`, or, as some clients write lists, `fields=id&fields=email`.
LISTS = ("sort", "fields", "expand", "resources")
#: What moves a page and leaves the list as it is.
_PAGING = ("limit", "offset", "cursor", "fields", "expand", "withCount")
OPERATORS = ("in", "ne", "gt", "gte", "lt", "lte", "startsWith", "isNull")
_FLAGS = ("withCount", "includeDeleted")
#: What `[in]` is made of. Within a value a comma is `\,` and a backslash `\\`, as FHIR has it; another one is itself.
_PIECES = re.compile(r"\\[\\,]|,|[^\\,]+|\\")
_WORDS = ("limit", "offset", "cursor", "sort", "fields", "expand", "q", "near", *_FLAGS)


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition: the path that it looks at, the operator, and the value as a statement's parameter."""

    path: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class Near:
    """Within `kilometres` of a point."""

    latitude: Decimal
    longitude: Decimal
    kilometres: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A list request, checked: every name in it is the resource's, every value of its kind."""

    limit: int = LIMIT_DEFAULT
    offset: int = 0
    #: Paths, and whether each descends; the id is always the tie-break.
    sort: tuple[tuple[str, bool], ...] = ()
    #: What is shown of each record, in the entity's order.
    show: tuple[Field | Reference, ...] = ()
    filters: tuple[Filter, ...] = ()
    q: str | None = None
    near: Near | None = None
    with_count: bool = True
    include_deleted: bool = False
    #: What decides which records are in the list and in which order, as text: cursors hold for one of these.
    asked: str = ""
    #: The sort keys of the record that the page before ended with.
    after: tuple[Any, ...] | None = None

    @property
    def order(self) -> tuple[tuple[str, bool], ...]:
        """The sort with its tie-break, which follows the last direction so that one index serves both."""
        if "id" in [path for path, _ in self.sort]:
            return self.sort
        return (*self.sort, ("id", bool(self.sort and self.sort[-1][1])))


def parameters(raw: bytes) -> dict[str, str]:
    """Split a query string into parameters, each given once."""
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=PARAMETERS_MOST,
        )
    except UnicodeDecodeError:
        raise ValidationFailed([Problem("", "INVALID_QUERY", "expected percent-encoded UTF-8 in the query")]) from None
    except ValueError:
        message = f"expected at most {PARAMETERS_MOST} parameters in the query"
        raise ValidationFailed([Problem("", "TOO_MANY", message)]) from None
    given = dict(pairs)
    if len(given) != len(pairs):
        given = _together(pairs)
    if not all(storable(text) for pair in pairs for text in pair):
        raise ValidationFailed([Problem("", "UNSTORABLE_TEXT", "expected a query without NUL characters")])
    return given


def _together(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given and name not in LISTS:
            raise ValidationFailed([Problem("", "REPEATED", "expected each parameter of the query once")])
        given[name] = f"{given[name]},{value}" if name in given else value
    return given


def read(resources: Resources, resource: Resource, raw: bytes) -> Query:
    """Read a list's query string."""
    given = parameters(raw)
    problems: list[Problem] = []
    unknown: list[Problem] = []
    filters: list[Filter] = []
    known = filterable(resources, resource)
    for name, value in given.items():
        if name not in _WORDS:
            _read_filter(resource, known, name, value, filters, problems, unknown)
    query = Query(
        limit=whole(given, "limit", LIMIT_DEFAULT, LIMIT_MOST, problems),
        offset=whole(given, "offset", 0, None, problems),
        sort=_sort(resource, given["sort"], problems) if "sort" in given else (),
        show=show(resource, given, problems),
        filters=tuple(filters),
        q=given.get("q") or None,
        near=_near(resource, given, problems, unknown),
        with_count=flag(given, "withCount", True, problems),
        include_deleted=flag(given, "includeDeleted", False, problems),
        asked="&".join(
            (resource.name, *sorted(f"{name}={each}" for name, each in given.items() if name not in _PAGING))
        ),
    )
    if "cursor" in given and "offset" in given:
        problems.append(Problem("offset", "WITH_CURSOR", "expected cursor or offset, got both"))
    if "q" in given and not resource.search:
        unknown.append(Problem("q", UnknownParameter.code, f"expected no q: {resource.plural} have no search"))
    if unknown:
        raise UnknownParameter([*unknown, *problems])
    if problems:
        raise ValidationFailed(problems)
    if query.offset > OFFSET_MOST:
        raise OffsetTooLarge(f"expected an offset of at most {OFFSET_MOST}; page on with cursor, or narrow the list")
    return _continued(resource, query, given["cursor"]) if "cursor" in given else query


def _continued(resource: Resource, query: Query, text: str) -> Query:
    types = [resource.kind_at(path).sql_type for path, _ in query.order]
    return replace(query, after=cursor.read(text, query.asked, types))


def show(resource: Resource, given: Mapping[str, str], problems: list[Problem]) -> tuple[Field | Reference, ...]:
    """Read `fields` and `expand`: which members of the entity are shown. Unasked, the objects of references are not."""
    if "fields" not in given and "expand" not in given:
        return _unasked(resource)
    references = {each.name for each in resource.references}
    known = {each.name for each in resource.shown}
    fields = _names(given, "fields", known, problems)
    expand = _names(given, "expand", references, problems)
    wanted = (set(fields) if fields else known - references) | set(expand)
    return tuple(each for each in resource.shown if each.name in wanted)


@cache
def _unasked(resource: Resource) -> tuple[Field | Reference, ...]:
    return tuple(each for each in resource.shown if isinstance(each, Field))


def _names(given: Mapping[str, str], parameter: str, known: set[str], problems: list[Problem]) -> list[str]:
    if parameter not in given:
        return []
    names = given[parameter].split(",")
    strange = [name for name in names if name not in known]
    problems.extend(
        Problem(
            parameter, "UNKNOWN_FIELD", f"expected names of the entity, got {name[:100]!r}{did_you_mean(name, known)}"
        )
        for name in strange[:10]
    )
    return names


def sortable(resource: Resource) -> tuple[str, ...]:
    """The paths that a list can be sorted by: those that an index holds in order."""
    own = ("id", resource.external_id.name, "createdAt", "updatedAt")
    return (*own, *(path for path in resource.columns if resource.kind_at(path).sql_type != "uuid"))


def _sort(resource: Resource, text: str, problems: list[Problem]) -> tuple[tuple[str, bool], ...]:
    known = sortable(resource)
    sort = [(name.removeprefix("-"), name.startswith("-")) for name in text.split(",")]
    for name, _ in sort:
        if name not in known:
            hint = did_you_mean(name, known) or f"; one of {', '.join(known)}"
            problems.append(Problem("sort", "NOT_SORTABLE", f"expected a sortable field, got {name[:100]!r}{hint}"))
    if len({name for name, _ in sort}) != len(sort):
        problems.append(Problem("sort", "REPEATED", "expected each field of sort once"))
    return tuple(sort[: len(known)])


def whole(given: Mapping[str, str], name: str, default: N, most: int | None, problems: list[Problem]) -> int | N:
    """Read a whole number from 0 to `most`."""
    text = given.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 20 and (most is None or int(text) <= most):
        return int(text)
    bounds = f"from 0 to {most}" if most else "of 0 or more, below 10^19"
    problems.append(Problem(name, "OUT_OF_RANGE", f"expected a whole number {bounds}"))
    return default


def flag(given: Mapping[str, str], name: str, default: bool, problems: list[Problem]) -> bool:
    """Read `true` or `false`."""
    try:
        return Boolean().parse(given[name]) if name in given else default
    except ValueError as error:
        problems.append(Problem(name, "WRONG_TYPE", str(error)))
        return default


def word(given: Mapping[str, str], name: str, words: Collection[str], problems: list[Problem]) -> str | None:
    """Read one of some words; None where none is given."""
    text = given.get(name)
    if text is not None and text not in words:
        problems.append(Problem(name, "UNKNOWN_CHOICE", f"expected one of {', '.join(words)}"))
    return text


def span(given: Mapping[str, str], problems: list[Problem]) -> tuple[int, int]:
    """Read how many rows are wanted, and how many before them are not."""
    limit = whole(given, "limit", LIMIT_DEFAULT, LIMIT_MOST, problems)
    return limit, whole(given, "offset", 0, OFFSET_MOST, problems)


def filterable(resources: Resources, resource: Resource) -> dict[str, Kind]:
    """The paths that a list can be filtered by, with the kind of their values; a relation by its external id too."""
    own = ("id", resource.external_id.name, "createdAt", "updatedAt")
    paths = dict.fromkeys((*own, *resource.columns, *resource.filters))
    known = {path: resource.kind_at(path) for path in paths}
    for reference in resource.references:
        if reference.id_field.name in resource.columns:
            target = resources[reference.to].external_id
            known[f"{reference.name}.{target.name}"] = target.kind
    return known | {each.name: resources.found_kind(resource, each) for each in resource.finders}


def _read_filter(
    resource: Resource,
    known: Mapping[str, Kind],
    name: str,
    text: str,
    filters: list[Filter],
    problems: list[Problem],
    unknown: list[Problem],
) -> None:
    path, bracket, rest = name.partition("[")
    operator = rest.removesuffix("]") if bracket else "eq"
    if path not in known or (bracket and (not rest.endswith("]") or operator not in OPERATORS)):
        known_names = known if path not in known else [f"{path}[{each}]" for each in OPERATORS]
        hint = did_you_mean(name if path in known else path, (*known_names, *_WORDS))
        message = f"expected a parameter of {resource.plural}, got {name[:100]!r}{hint}"
        unknown.append(Problem(name[:100], UnknownParameter.code, message))
        return
    try:
        finder = resource.finder(path)
        related = finder is not None or path.partition(".")[0] in resource.reference
        if isinstance(finder, During) and operator != "eq":
            raise ValueError("expected a moment, and no operator")
        if finder and operator == "isNull":
            raise ValueError("expected a value to look for, with one of [in], [ne] or none")
        filters.append(Filter(path, operator, _operand(known[path], operator, text, related)))
    except ValueError as error:
        problems.append(Problem(name[:100], "INVALID_VALUE", str(error)))


def _operand(kind: Kind, operator: str, text: str, related: bool) -> Any:
    if operator == "isNull":
        return Boolean().parse(text)
    if operator == "in":
        values = _separated(text)
        if len(values) > VALUES_MOST:
            raise ValueError(f"expected at most {VALUES_MOST} values, got {len(values)}")
        return [kind.parse(value) for value in values]
    if operator == "startsWith" and not isinstance(kind, Text):
        raise ValueError("expected startsWith on a field of text only")
    if operator in ("gt", "gte", "lt", "lte") and kind.sql_type == "boolean":
        raise ValueError("expected no order on a boolean")
    if related and operator not in ("eq", "in", "ne"):
        raise ValueError("expected a related record to be named whole, with one of [in], [ne], [isNull] or none")
    return kind.parse(text)


def _separated(text: str) -> list[str]:
    """Give the values that commas separate, each as it is."""
    parts: list[list[str]] = [[]]
    for piece in _PIECES.findall(text):
        if piece == ",":
            parts.append([])
        else:
            parts[-1].append(piece[-1] if len(piece) == 2 and piece[0] == "\\" else piece)
    return list(map("".join, parts))


def _near(resource: Resource, given: Mapping[str, str], problems: list[Problem], unknown: list[Problem]) -> Near | None:
    if "near" not in given:
        return None
    if resource.place is None:
        unknown.append(Problem("near", UnknownParameter.code, f"expected no near: {resource.plural} are not places"))
        return None
    try:
        latitude, longitude, kilometres = (Decimal(part) for part in given["near"][:100].split(","))
        if abs(latitude) <= 90 and abs(longitude) <= 180 and 0 < kilometres <= 20_100:
            return Near(latitude, longitude, kilometres)
    except (ValueError, InvalidOperation):
        pass
    problems.append(Problem("near", "INVALID_VALUE", "expected latitude,longitude,kilometres such as 51.5,-0.12,10"))
    return None


def refuse_unknown(given: Iterable[str], known: tuple[str, ...]) -> None:
    """Refuse parameters that the route does not have; one that were ignored would be believed to work."""
    expected = f"one of {', '.join(known)}" if known else "no parameters"
    strange = [
        Problem(name[:100], UnknownParameter.code, f"expected {expected}, got {name[:100]!r}")
        for name in given
        if name not in known
    ]
    if strange:
        raise UnknownParameter(strange)
