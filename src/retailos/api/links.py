"""Where an answer leads: the operations that take an id which it gives, as OpenAPI's links."""

from collections.abc import Iterator, Mapping
from typing import Any

from retailos.api.call import Operation


def links(operation: Operation, ids: Mapping[Operation, str]) -> dict[str, Any]:
    """Link the answer of what writes to what can be done next; `ids` are the operationIds of all operations."""
    given = dict(_given(operation)) if operation.method in ("POST", "PUT") else {}
    return {
        name: {"operationId": name, "parameters": {"id": f"$response.body#{given[wanted]}"}}
        for other, name in ids.items()
        if (wanted := _taken(other)) in given
    }


def _given(operation: Operation) -> Iterator[tuple[str, str]]:
    """What the ids in an answer name, and the JSON pointers to them."""
    record = operation.resource.schema_name if operation.resource else operation.result
    if operation.result == "JobQueueMetaList":
        yield record, "/result/0/resourceId"
        yield "JobQueueMeta", "/result/0/id"
        if operation.resource and operation.body == f"{record}BulkInput":
            yield "Batch", "/result/0/batchId"
    elif operation.result == record:
        yield record, "/result/id"


def _taken(operation: Operation) -> str:
    """What the id in an operation's path names; "" where it has none, or one that may be an external id too."""
    if not operation.path.endswith("/{id}"):
        return ""
    if operation.resource:
        return operation.resource.schema_name if operation.path.endswith("/id/{id}") else ""
    return operation.result
