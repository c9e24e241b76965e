"""References in a body: the nested object, the id, or both where they agree, become wants that the writer finds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import structs

from retailos.declare.field import EXTERNAL_ID, MANY, Reference
from retailos.declare.inner import InnerArray
from retailos.declare.kind import expected
from retailos.declare.resource import Resource, Resources
from retailos.declare.values import Uuid
from retailos.errors import Problem, ReferenceConflict
from retailos.records.record import Want


def read_wants(
    resources: Resources,
    resource: Resource,
    body: Mapping[str, Any],
    patch: dict[str, Any],
    problems: list[Problem],
    *,
    partial: bool = False,
) -> list[Want]:
    """Read the references; one that is cleared goes into the patch, one that names a record becomes a want."""
    wants: list[Want] = []
    for reference in resource.references:
        id_name = reference.id_field.name
        if reference.name not in body and id_name not in body:
            if reference.required and not partial:
                problems.append(Problem(f"/{reference.name}", "REQUIRED", "expected a reference, got none"))
        elif reference.ids:
            wants.extend(_many(resources, reference, body, patch, problems))
        else:
            wants.extend(_one(resources, reference, body, patch, problems))
    for name, array in resource.inner.items():
        if array.references and patch.get(name):
            wants.extend(_inner(resources, name, array, body[name], patch[name], problems))
    return wants


def _inner(
    resources: Resources,
    name: str,
    array: InnerArray,
    sent: Sequence[Any],
    items: Sequence[dict[str, Any]],
    problems: list[Problem],
) -> Iterator[Want]:
    """Read the references of the items of an array; what is cleared is left out of its item."""
    for i, (one, item) in enumerate(zip(sent, items, strict=True)):
        for reference in array.references:
            id_name = reference.id_field.name
            if type(one) is dict and (reference.name in one or id_name in one):
                for want in _one(resources, reference, one, item, problems, f"/{name}/{i}"):
                    yield structs.replace(want, item=(name, i))
                if id_name in item:
                    del item[id_name]


def _one(
    resources: Resources,
    reference: Reference,
    body: Mapping[str, Any],
    patch: dict[str, Any],
    problems: list[Problem],
    within: str = "",
) -> list[Want]:
    id_name, at = reference.id_field.name, f"{within}/{reference.name}"
    sent_id = _known_id(patch.pop(id_name, None))
    nested = body.get(reference.name)
    if reference.name in body and id_name in body and (nested is None) != (body[id_name] is None):
        problems.append(_conflict(at, id_name))
    elif nested is not None:
        want = _nested(resources, reference, nested, at, problems)
        if want and sent_id and want.id not in (None, sent_id):
            problems.append(_conflict(at, id_name))
        elif want:
            return [Want(reference=reference.name, at=at, id=want.id or sent_id, external_id=want.external_id)]
    elif body.get(id_name) is not None:
        return [Want(reference=reference.name, at=f"{within}/{id_name}", id=sent_id)] if sent_id else []
    else:
        patch[id_name] = None
        if reference.required and id_name not in body:
            problems.append(Problem(at, "REQUIRED", "expected a reference, got null"))
    return []


def _many(
    resources: Resources,
    reference: Reference,
    body: Mapping[str, Any],
    patch: dict[str, Any],
    problems: list[Problem],
) -> list[Want]:
    """Read an array of references: the objects where they were sent, else the ids."""
    ids, at = patch.pop(reference.ids, None), f"/{reference.name}"
    known = [_known_id(each) for each in ids] if type(ids) is list else []
    nested = body.get(reference.name)
    patch[reference.ids] = []
    if type(nested) is list and len(nested) > MANY:
        problems.append(Problem(at, "TOO_MANY", f"expected at most {MANY} items, got {len(nested)}"))
    elif type(nested) is list:
        found = [_nested(resources, reference, each, f"{at}/{i}", problems) for i, each in enumerate(nested)]
        if reference.ids not in body:
            return [want for want in found if want]
        return _agreeing(reference, found, known, problems)
    elif nested is not None:
        problems.append(expected("an array of objects", nested, at))
    elif known and reference.name in body:
        problems.append(_conflict(at, reference.ids))
    else:
        return [
            Want(reference=reference.name, at=f"/{reference.ids}/{i}", id=each) for i, each in enumerate(known) if each
        ]
    return []


def _agreeing(
    reference: Reference, found: list[Want | None], ids: list[UUID | None], problems: list[Problem]
) -> list[Want]:
    """Join objects and ids that were both sent, in one order; whether they name the same records, the writer sees."""
    pairs = list(zip(found, ids, strict=False))
    if len(found) != len(ids) or any(want and want.id not in (None, each) for want, each in pairs):
        problems.append(_conflict(f"/{reference.name}", reference.ids))
        return []
    return [structs.replace(want, id=each) for want, each in pairs if want]


def _nested(resources: Resources, reference: Reference, value: Any, at: str, problems: list[Problem]) -> Want | None:
    key = resources[reference.to].external_id.name
    if type(value) is not dict:
        problems.append(expected(f"an object with {key}", value, at))
        return None
    external_id, sent_id = value.get(key), value.get("id")
    if external_id is None and sent_id is None:
        problems.append(Problem(at, "REQUIRED", f"expected {key} or id, got neither"))
        return None
    problem = None if external_id is None else external_id_problem(external_id, f"{at}/{key}")
    if problem:
        problems.append(problem)
        return None
    found = None if sent_id is None else read_uuid(sent_id, f"{at}/id", problems)
    return Want(reference=reference.name, at=at, id=found, external_id=external_id)


def _known_id(value: Any) -> UUID | None:
    """The id of a value that Uuid.read has taken; None where it refused, and said so."""
    try:
        return UUID(value) if type(value) is str else None
    except ValueError:
        return None


def _conflict(at: str, id_name: str) -> Problem:
    message = f"expected {id_name} and the nested object to name the same record; send one of them"
    return Problem(at, ReferenceConflict.code, message)


def external_id_problem(value: Any, at: str) -> Problem | None:
    """Tell what is wrong with an external id, wherever it came from."""
    problems: list[Problem] = []
    EXTERNAL_ID.read(value, at, problems)
    return problems[0] if problems else None


def read_uuid(value: Any, at: str, problems: list[Problem]) -> UUID | None:
    """Read an id, or add what is wrong with it."""
    before = len(problems)
    text = Uuid().read(value, at, problems)
    return UUID(text) if len(problems) == before else None
