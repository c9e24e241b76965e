"""The route table: every operation of the public API, derived from the resources."""

from collections.abc import Iterator
from dataclasses import replace

from retailos.api import endpoints
from retailos.api.call import Operation
from retailos.declare.resource import Resource, Resources

PUBLIC = "/v2/public"


def public_operations(resources: Resources) -> tuple[Operation, ...]:
    """List the operations of every resource."""
    return tuple(operation for resource in resources.values() for operation in _operations(resource))


def _operations(resource: Resource) -> Iterator[Operation]:
    """The operations of one resource: what is common to them once, then one line for what each is."""
    root, schema = f"{PUBLIC}/{resource.collection}", resource.schema_name
    one, many = resource.title.lower(), resource.title_plural.lower()
    shared = Operation(
        method="GET",
        path=root,
        endpoint=endpoints.get_one,
        action=resource.action("GET_ONE"),
        user_message=resource.title,
        scope=f"{resource.name}:read",
        summary=f"Get a {one} by id or external id",
        resource=resource,
        result=schema,
        statuses=(200, 404),
        parameters=("fields", "expand"),
    )
    yield replace(
        shared,
        endpoint=endpoints.get_all,
        action=resource.action("GET_ALL"),
        user_message=resource.title_plural,
        summary=f"List {many}",
        result=f"{schema}List",
        statuses=(200,),
        parameters=("list",),
    )
    written = replace(shared, scope=f"{resource.name}:write", body=f"{schema}Input", parameters=())
    yield replace(
        written,
        method="POST",
        endpoint=endpoints.create,
        action=resource.action("CREATE"),
        summary=f"Create a {one}",
        statuses=(201, 409, 422),
    )
    yield replace(shared, path=root + "/{id}")
    yield replace(
        written,
        method="PUT",
        path=root + "/{externalId}",
        endpoint=endpoints.upsert,
        action=resource.action("UPSERT"),
        summary=f"Create or update a {one} by external id",
        result="JobQueueMetaList",
        statuses=(200, 409, 422),
    )
    yield replace(
        shared,
        path=root + "/external/{externalId}",
        endpoint=endpoints.get_by_external_id,
        summary=f"Get a {one} by external id",
    )
    yield replace(shared, path=root + "/id/{id}", endpoint=endpoints.get_by_id, summary=f"Get a {one} by id")
