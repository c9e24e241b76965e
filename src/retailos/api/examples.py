"""Examples for the documents: the guide's own where it gives one, else what the declarations are like."""

from collections.abc import Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from retailos.api.envelope import Envelope, Fault, Meta, encode, phrase, problem_details
from retailos.declare.derived import Computed
from retailos.declare.field import CREATED_AT, UPDATED_AT, Field, Reference, snake
from retailos.declare.field import external_id as own_id
from retailos.declare.inner import INNER_ID, InnerArray
from retailos.declare.resource import Resource, Resources
from retailos.declare.rules import AtMostOne
from retailos.declare.values import Uuid
from retailos.errors import RetailOSError
from retailos.imports.imports import Import
from retailos.jobs.jobs import JobQueueMeta

T = TypeVar("T")

_AT = "2020-03-25T13:41:30.709Z"
_META = Meta("a1dba900-4d6f-4cd5-aea9-db8a3e07d3f5", "2020-03-31T14:40:51.050Z")
#: A delivery is one webhook's, of one record.
DELIVERY_ID = "1-e876d808-805b-4d6f-9566-63aa0ad0ec86"
_JOB = UUID("e92ae5e1-8a9e-4b3e-9c67-d1dfb08f19a2")
_OTHER = UUID("d1f7a0f4-90fb-4a34-8a3c-0e5f4a0f3a11")
#: One problem of each error that lists them, by its code.
_PROBLEMS = MappingProxyType(
    {
        "VALIDATION_ERROR": ("/dob", "INVALID_DATE", "expected a date dd/mm/yyyy"),
        "UNKNOWN_PARAMETER": (
            "emial",
            "UNKNOWN_PARAMETER",
            "expected a parameter of customers, got 'emial'; did you mean email?",
        ),
        "REFERENCE_CONFLICT": (
            "/registeredAt",
            "REFERENCE_CONFLICT",
            "expected registeredAtId and the nested object to name the same record; send one of them",
        ),
        "REFERENCE_NOT_FOUND": (
            "/registeredAt",
            "REFERENCE_NOT_FOUND",
            "expected a store that exists; send it first, then this record again",
        ),
        "NOT_MERGEABLE": ("/from/0", "DELETED", "expected a record that is not deleted"),
        "CARD_DATA_FORBIDDEN": (
            "/payments/0/providerReference",
            "CARD_DATA_FORBIDDEN",
            "expected no card number; send the provider's reference and last4",
        ),
        "NOT_UNIQUE": ("/username", "NOT_UNIQUE", "expected a username that no other has"),
    }
)

#: The request that section 6 of the guide shows.
_OWN = MappingProxyType(
    {
        "customer": {
            "externalCustomerId": "example-customer-id",
            "title": "Mr",
            "gender": "Female",
            "firstName": "Example",
            "lastName": "Customer",
            "telephone": "+44 8800000000",
            "email": "email@example.com",
            "dob": "01/01/1904",
            "generalMarketing": False,
            "thirdPartyMarketing": False,
            "address": {"city": "", "county": "", "country": "", "address1": "", "address2": "", "postCode": ""},
        },
    }
)
#: A shop that is in one place, and open; times that end after they begin.
_LIKE = MappingProxyType(
    {
        "latitude": 51.511732,
        "longitude": -0.123271,
        "openingHours": [{"day": 1, "opens": "09:00", "closes": "18:00"}],
        "openingExceptions": [{"date": "2026-12-25", "closed": True}],
        "validFrom": "2026-01-01T00:00:00.000Z",
        "validUntil": "2036-01-01T00:00:00.000Z",
        "startAt": "2026-11-27T10:00:00.000Z",
        "endAt": "2026-11-27T10:30:00.000Z",
    }
)


_FILES = MappingProxyType(
    {
        "csv": """\
externalCustomerId,firstName,address.city,registeredAt.externalStoreId
c-1,Ada,London,
c-2,Grace,,
""",
        "ndjson": """\
{"externalCustomerId": "c-1", "firstName": "Ada", "address": {"city": "London"}}
{"externalCustomerId": "c-2", "firstName": "Grace"}
""",
    }
)
_REFUSED = MappingProxyType(
    {
        "csv": """\
externalCustomerId,dob,_error,_line
c-1,1904-01-01,VALIDATION_ERROR: /dob expected a date dd/mm/yyyy,2
""",
        "ndjson": """\
{"externalCustomerId":"c-1","firstName":"Ada","_error":{"code":"EXAMPLE","message":"","details":{}},"_line":1}
""",
    }
)


class Typical(Random):
    """Chance that always falls on the first and the least, so that an example shows what is usual."""

    def choice(self, seq: Sequence[T]) -> T:  # type: ignore[override]
        """Take the first."""
        return seq[0]

    def randint(self, a: int, b: int) -> int:
        """Take the least."""
        return a


def object_example(fields: Mapping[str, Field], *, input: bool) -> dict[str, Any]:
    """Make an object with these fields, as a caller sends it (`input`) or as it is shown."""
    typical = Typical(",".join(fields))
    return {name: _value(each, typical) for name, each in fields.items() if not (input and each.read_only)}


def accepted(resource: Resource) -> dict[str, Any]:
    """Make a body as a caller sends it, a record that refers to no others than it must."""
    if resource.name in _OWN:
        return dict(_OWN[resource.name])
    typical = Typical(resource.name)
    references = [each.id_field.name for each in resource.references]
    example: dict[str, Any] = {resource.external_id.name: external_id(resource)}
    for name, field in resource.fields.items():
        follows = isinstance(field.derived, Computed)
        if field.at is None and not (field.read_only or follows or name in references):
            example[name] = _LIKE.get(name) or _value(field, typical)
    for name, array in resource.inner.items():
        if array.requires_one_of or any(each.required for each in array.references):
            del example[name]
    for naming in resource.namings:
        if naming.target not in example:
            example.pop(naming.array, None)
    example |= {each.name: _named(each.to) for each in resource.references if each.required}
    if resource.plausible:
        resource.plausible(example)
    return example


def _named(target: str) -> dict[str, str]:
    """A reference to the record that is shown of a resource."""
    return {own_id(target).name: f"example-{snake(target).replace('_', '-')}-id"}


def _alternatives(resource: Resource) -> set[str]:
    """The references that a record can't have beside the first of those that are one for another."""
    rules = [each for each in resource.rules if isinstance(each, AtMostOne)]
    return {name for rule in rules for name in rule.fields[1:]}


def referring(resource: Resource) -> dict[str, Any]:
    """Make a body that refers to other records by their external ids, as far as they are not of its own kind."""
    example = accepted(resource)
    for each in resource.references:
        if each.to != resource.name and each.id_field.name not in _alternatives(resource):
            example[each.name] = [_named(each.to)] if each.ids else _named(each.to)
    for name, array in resource.inner.items():
        named = {each.name: _named(each.to) for each in array.references}
        example[name] = [item | named for item in array.sample(Typical(name))]
    if resource.plausible:
        resource.plausible(example)
    return example


def shown(resources: Resources, resource: Resource) -> dict[str, Any]:
    """Make a record as it is answered."""
    sent = accepted(resource)
    others = _alternatives(resource)
    ids = {
        each.id_field.name: None if each.id_field.name in others else _ids(resources, resource, each)
        for each in resource.references
    }
    items = {name: _shown_items(name, each, sent.get(name) or []) for name, each in resource.inner.items()}
    known = ids | items
    return {
        name: known[name] if name in known else _shown(resource, each, sent) for name, each in resource.fields.items()
    }


def _shown_items(name: str, array: InnerArray, sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items as they are shown: with ids, and with what was not sent."""
    inner_id = {INNER_ID.name: Uuid().sample(Random(name))}  # noqa: S311
    rest = {each.name: each.default if isinstance(each, Field) else None for each in array.shown}
    return [{**rest, **item, **inner_id} for item in sent]


def told(resources: Resources, resource: Resource) -> dict[str, Any]:
    """Make a record as a webhook sends it, with the objects of its relations."""
    record = shown(resources, resource)
    told: dict[str, Any] = {}
    for each in resource.shown:
        if isinstance(each, Field):
            told[each.name] = record[each.name]
        elif each.name in resource.webhook_relations:
            target = shown(resources, resources[each.to])
            one = {field.name: target[field.name] for field in resources.projection(each)}
            told[each.name] = [one] if each.ids else one
    return told


def batch() -> dict[str, Any]:
    """Make the totals of a request with three records, one of which was refused."""
    statuses, outcomes = {"completed": 2, "failed": 1}, {"created": 1, "updated": 1}
    return {"id": str(_JOB), "createdAt": _AT, "count": 3, "statuses": statuses, "outcomes": outcomes}


def job_id() -> str:
    """The id of that job."""
    return str(_JOB)


def queued_import() -> dict[str, Any]:
    """Make a file of two customers that is about to be applied."""
    queued = Import(
        id=_JOB,
        resource="customer",
        format="csv",
        status="queued",
        created_at=_AT,
        started_at=None,
        ended_at=None,
        bytes=len(_FILES["csv"]),
        rows=2,
        rows_read=0,
        failed=0,
        outcomes={},
        max_error_rate=1.0,
        error=None,
    )
    example: dict[str, Any] = msgspec.to_builtins(queued)
    return example


def file(media_type: str, *, refused: bool = False) -> dict[str, Any]:
    """Describe a file of this media type, with two customers in it, or one that was refused."""
    if media_type.endswith(("gzip", "octet-stream")):
        return {"schema": {"type": "string", "contentMediaType": media_type}, "example": "…"}
    kind = "csv" if "csv" in media_type else "ndjson"
    return {"schema": {"type": "string"}, "example": (_REFUSED if refused else _FILES)[kind]}


def job(resource: Resource, *, waiting: bool = False) -> dict[str, Any]:
    """Make the face of a write that is done, or that waits for the first record that it refers to."""
    done = _job(resource.queue("upsert"), resource.name, external_id(resource), internal_id(resource))
    if not waiting:
        return done
    awaited = [
        {"path": f"/{each.name}", "resource": each.to, "externalId": f"example-{snake(each.to)}-id"}
        for each in resource.references[:1]
    ]
    undone = dict.fromkeys(("resourceId", "version", "outcome", "completedAt"))
    return done | undone | {"status": "unresolved", "unresolvedReferences": awaited}


def queued(resource: Resource) -> dict[str, Any]:
    """Make the face of a write that is accepted, and not done yet."""
    open_ends = {"resourceId": None, "version": None, "outcome": None, "completedAt": None}
    return job(resource) | {"status": "queued", **open_ends}


def job_of_nobody() -> dict[str, Any]:
    """Make the same where no resource is at hand: the guide's customer."""
    return _job("scv:customer:upsert", "customer", "example-customer-id", "8348b38e-8fd0-4a24-b6db-45189bb9587f")


def _job(queue: str, resource: str, external_id: str, record_id: str) -> dict[str, Any]:
    meta = JobQueueMeta(
        id=_JOB,
        queue_name=queue,
        status="completed",
        created_at=_AT,
        resource=resource,
        external_id=external_id,
        resource_id=UUID(record_id),
        version=1,
        outcome="created",
        completed_at=_AT,
    )
    example: dict[str, Any] = msgspec.to_builtins(meta)
    return example


def other_id() -> str:
    """The id of some other record."""
    return str(_OTHER)


def merge(resource: Resource, consents: Mapping[str, bool], record: Mapping[str, Any]) -> dict[str, Any]:
    """Make what is answered to a merge of two records."""
    return {
        "jobId": str(_JOB),
        "resourceId": internal_id(resource),
        "externalId": external_id(resource),
        "version": 2,
        "mergedIds": [str(_OTHER)],
        "fields": {"email": str(_OTHER)},
        "consents": dict(consents),
        "repointed": {},
        "deleted": {},
        "yielded": {},
        "record": dict(record),
    }


def success(status: int, user_message: str, action: str, result: Any) -> dict[str, Any]:
    """Put a result into the envelope."""
    return _enveloped(status, user_message, None, action, result)


def failure(error: type[RetailOSError]) -> dict[str, Any]:
    """Put an error into the envelope."""
    fault = _fault(error)
    return _enveloped(error.status, fault.message, fault, None, None)


def problem(error: type[RetailOSError]) -> dict[str, Any]:
    """Write the same error as RFC 9457 has it."""
    example: dict[str, Any] = msgspec.to_builtins(problem_details(error.status, _fault(error), _META.request_id))
    return example


def _fault(error: type[RetailOSError]) -> Fault:
    path, code, told = _PROBLEMS.get(error.code, ("", "", ""))
    details = {"errors": [{"path": path, "code": code, "message": told}]} if code else {}
    return Fault(error.code, " ".join((error.__doc__ or "").split()), details)


def external_id(resource: Resource) -> str:
    """`example-customer-id`, as in the guide."""
    return f"example-{snake(resource.name).replace('_', '-')}-id"


def internal_id(resource: Resource) -> str:
    """An id of ours, the same whenever this resource is shown."""
    return Uuid().sample(Random(resource.name))  # noqa: S311


def _enveloped(status: int, message: str, fault: Fault | None, action: str | None, result: Any) -> dict[str, Any]:
    envelope = Envelope(status, phrase(status), message, fault, _META, action, msgspec.Raw(encode(result)))
    example: dict[str, Any] = msgspec.json.decode(encode(envelope))
    return example


def _ids(resources: Resources, resource: Resource, reference: Reference) -> Any:
    """What the field of a reference holds; nothing where it leads to another record of the same kind."""
    target = internal_id(resources[reference.to])
    return [target] if reference.ids else None if reference.to == resource.name else target


def _shown(resource: Resource, field: Field, sent: Mapping[str, Any]) -> Any:
    if field.name == "id":
        return internal_id(resource)
    if field.name in sent:
        return sent[field.name]
    return None if field.nullable else _value(field, Typical(resource.name))


def _value(field: Field, typical: Typical) -> Any:
    """What a field is without being set, where that says something; else what its kind is like."""
    if field in (CREATED_AT, UPDATED_AT):
        return _AT
    if field.default not in (None, {}, []):
        return field.default
    sample = field.kind.sample(typical)
    return field.default if sample is None else sample
