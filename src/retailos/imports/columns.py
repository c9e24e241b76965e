"""The columns of a CSV file: a header row read against a resource, and then each row's cells made into its JSON.

A column is a field (`lastName`), a member of a shape (`address.postCode`) or of a reference's object
(`registeredAt.externalStoreId`). An empty cell is absent, `\\N` is null, and where a field is no text, number or
boolean its cell holds JSON.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from retailos.declare.kind import Kind
from retailos.declare.names import did_you_mean
from retailos.declare.resource import Resource, Resources
from retailos.declare.shapes import Shape
from retailos.errors import MalformedJson, Problem, ValidationFailed
from retailos.imports.framing import cells_of, separator
from retailos.records import body
from retailos.records.form import UNCALLED, Called

#: As PostgreSQL and MySQL write null; the word `null` is somebody's name.
NULL = "\\N"
#: What results add to a record that was refused; passed over when it is sent again.
NOTES = ("_error", "_line", "_raw")
_SAYS_NOTHING = ("", NULL)
_BOOLEANS = {"true": True, "false": False}.get


@dataclass(frozen=True, slots=True)
class Column:
    """Where the cells of a column go: to a field, or to a member of an object; and how they are read."""

    name: str
    member: str | None
    form: str

    @property
    def title(self) -> str:
        """The column's name in the header row."""
        return self.name if self.member is None else f"{self.name}.{self.member}"


@dataclass(frozen=True, slots=True)
class Header:
    """A header row that was read: None stands for a column that is passed over."""

    separator: str
    titles: tuple[str, ...]
    columns: tuple[Column | None, ...]
    #: The fields that several columns make together.
    objects: tuple[str, ...]


def read_header(resources: Resources, resource: Resource, text: str) -> Header:
    """Read a header row; ValidationFailed tells all that is wrong with it."""
    between = separator(text)
    titles = tuple(each.strip() for each in cells_of(text, between))
    if len(titles) > body.MEMBERS_MOST:
        message = f"expected at most {body.MEMBERS_MOST} columns, got {len(titles)}"
        raise ValidationFailed([Problem("", "TOO_MANY", message)])
    problems: list[Problem] = []
    known = _known(resources, resource)
    columns = tuple(_column(resource, known, each, problems) for each in titles)
    there = [each for each in columns if each]
    _check_once(there, problems)
    problems += _missing(resource, {each.name for each in there})
    if problems:
        raise ValidationFailed(problems, "The header row of the file can't be used; see details.errors.")
    objects = dict.fromkeys(each.name for each in there if each.member is not None)
    return Header(between, titles, columns, tuple(objects))


def _missing(resource: Resource, there: set[str]) -> Iterator[Problem]:
    """The columns that no row can do without; an external id may follow from the two that a natural key refers to."""
    names = resource.natural_key.references if resource.natural_key else ()
    columns = [{name, resource.reference[name].id_field.name} for name in names]
    or_those = f" or those of {' and '.join(names)}" if names else ""
    if resource.external_id.name not in there and not (columns and all(each & there for each in columns)):
        name = resource.external_id.name
        yield Problem(name, "REQUIRED", f"expected a column {name}{or_those}, got none")
    for name in resource.required:
        if name not in there:
            yield Problem(name, "REQUIRED", f"expected a column {name}, got none")


def record_of(header: Header, cells: Sequence[str]) -> dict[str, Any]:
    """Make the JSON of one row; ValidationFailed where it has more or fewer cells than the header, or JSON is none."""
    if len(cells) != len(header.columns):
        message = f"expected {len(header.columns)} cells, as in the header row, got {len(cells)}"
        raise ValidationFailed([Problem("", "WRONG_LENGTH", message)])
    record: dict[str, Any] = {}
    problems: list[Problem] = []
    for column, cell in zip(header.columns, cells, strict=True):
        if column is None or cell == "":
            continue
        value = None if cell == NULL else _value(column, cell, problems)
        if column.member is None:
            record[column.name] = value
        else:
            record.setdefault(column.name, {})[column.member] = value
    if problems:
        raise ValidationFailed(problems)
    for name in header.objects:
        # An object whose members are all null is null: that is how a reference is cleared.
        if name in record and all(each is None for each in record[name].values()):
            record[name] = None
    return record


def called_in_cells(resources: Resources, resource: Resource, header: Header) -> Callable[[Sequence[str]], Called]:
    """What reads of a row's cells nothing but how its record is called."""
    at = {(each.name, each.member): i for i, each in enumerate(header.columns) if each}
    own, natural = at.get((resource.external_id.name, None)), resource.natural_key
    key = [
        at.get((name, resources[resource.reference[name].to].external_id.name))
        for name in (natural.references if natural else ())
    ]

    def called(cells: Sequence[str]) -> Called:
        if len(cells) != len(header.columns):
            return UNCALLED
        if own is not None and cells[own] not in _SAYS_NOTHING:
            return Called(cells[own])
        names = [cells[i] for i in key if i is not None and cells[i] not in _SAYS_NOTHING]
        return Called(natural.external_id(names), True) if natural and len(names) == len(key) else UNCALLED

    return called


def _known(resources: Resources, resource: Resource) -> Mapping[str, Column]:
    """Every column that a file of a resource may have, by its title."""
    columns: list[Column] = []
    for name, field in resource.fields.items():
        columns.append(Column(name, None, _form(field.kind)))
        if isinstance(field.kind, Shape):
            columns += [Column(name, member, _form(kind)) for member, kind in field.kind.members.items()]
    for reference in resource.references:
        columns.append(Column(reference.name, None, "json"))
        if not reference.ids:
            of_target = resources[reference.to].fields
            columns += [Column(reference.name, each.name, _form(each.kind)) for each in of_target.values()]
    return {each.title: each for each in columns}


def _form(kind: Kind) -> str:
    """How cells of a kind are read: as text, a number, a boolean, or JSON."""
    form = kind.schema().get("type")
    return {"string": "text", "boolean": "boolean", "integer": "number", "number": "number"}.get(str(form), "json")


def _column(resource: Resource, known: Mapping[str, Column], title: str, problems: list[Problem]) -> Column | None:
    if title not in known and title not in NOTES:
        shown = title[:100]
        message = f"expected a column of {resource.plural}, got {shown!r}{_hint(known, title)}"
        problems.append(Problem(shown, "UNKNOWN_FIELD", message))
    return known.get(title)


def _hint(known: Mapping[str, Column], title: str) -> str:
    start = title.partition(".")[0]
    members = [each for each in known if each.startswith(f"{start}.")]
    if start == title or start not in known or members:
        return did_you_mean(title, members or known)
    return f"; {start} is one column, whose cells hold JSON"


def _check_once(columns: Sequence[Column], problems: list[Problem]) -> None:
    """Refuse a column that is there twice, as itself or as an object and one of its members."""
    whole = {each.name for each in columns if each.member is None}
    seen: set[str] = set()
    for each in columns:
        if each.title in seen:
            problems.append(Problem(each.title, "DUPLICATE", f"expected the column {each.title} once, got it again"))
        elif each.member and each.name in whole:
            message = f"expected either the column {each.name} or columns of its members, got both"
            problems.append(Problem(each.title, "DUPLICATE", message))
        seen.add(each.title)


def _value(column: Column, cell: str, problems: list[Problem]) -> Any:
    """What a cell means; what is no number or boolean stays text, and the field says what it expects."""
    if column.form == "text":
        return cell
    if column.form == "boolean":
        return _BOOLEANS(cell.lower(), cell)
    try:
        value = body.decode(cell.encode())
    except (MalformedJson, ValidationFailed):
        if column.form == "number":
            return cell
        at = "/" + column.title.replace(".", "/")
        problems.append(Problem(at, MalformedJson.code, "expected JSON in the cell, got something else"))
        return None
    return value if column.form == "json" or type(value) in (int, Decimal) else cell
