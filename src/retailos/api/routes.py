"""The route table: every operation of the public API, derived from the resources."""

from collections.abc import Iterator
from dataclasses import replace

from retailos.api import bulk, changes, endpoints, jobs, prices, writing
from retailos.api.call import Operation
from retailos.declare.resource import Resource, Resources

PUBLIC = "/v2/public"


def public_operations(resources: Resources) -> tuple[Operation, ...]:
    """List the operations of every resource."""
    of_records = (operation for resource in resources.values() for operation in _operations(resource))
    by_key = (_by_natural_key(resources, each) for each in resources.values() if each.natural_key)
    return (*of_records, *by_key, *_of_prices(resources), *_of_jobs(), _of_changes())


def _by_natural_key(resources: Resources, resource: Resource) -> Operation:
    """The operation that writes a record by the external ids of the two that it is about."""
    key = resource.natural_key
    first, second = (resources[resource.reference[name].to] for name in key.references) if key else (resource, resource)
    segment = key.segment if key else ""
    path = f"/{first.collection}/external/{{{first.external_id.name}}}/{segment}/{{{second.external_id.name}}}"
    return Operation(
        method="PUT",
        path=PUBLIC + path,
        endpoint=writing.upsert_by_natural_key,
        action=resource.action("UPSERT"),
        user_message=resource.title,
        scope=f"{resource.name}:write",
        summary=f"Create or update a {resource.title.lower()} by {first.title.lower()} and {second.title.lower()}",
        resource=resource,
        body=f"{resource.schema_name}Input",
        result="JobQueueMetaList",
        statuses=(200, 409, 412, 422),
        parameters=("mode", "writing"),
    )


def _of_prices(resources: Resources) -> Iterator[Operation]:
    """The operation that looks up which price of a variant holds."""
    if "price" in resources:
        yield Operation(
            method="GET",
            path=f"{PUBLIC}/variants/{{variantId}}/price",
            endpoint=prices.get_price,
            action=resources["price"].action("GET_ONE"),
            user_message=resources["price"].title,
            scope="price:read",
            summary="Look up the price that holds for a variant",
            resource=resources["price"],
            result="Price",
            statuses=(200, 404),
            parameters=("price", "fields", "expand"),
        )


def _of_changes() -> Operation:
    """The change feed, over all resources at once."""
    return Operation(
        method="GET",
        path=f"{PUBLIC}/changes",
        endpoint=changes.get_changes,
        action="CHANGE_GET_ALL",
        user_message="Changes",
        scope="changes:read",
        summary="Read the change feed",
        result="ChangeList",
        parameters=("changes",),
    )


def _of_jobs() -> Iterator[Operation]:
    """The operations that look up what became of what was sent."""
    one = Operation(
        method="GET",
        path=f"{PUBLIC}/jobs/{{id}}",
        endpoint=jobs.get_job,
        action="JOB_GET_ONE",
        user_message="Job",
        scope="jobs:read",
        summary="Get a job",
        result="JobQueueMeta",
        statuses=(200, 404),
    )
    yield replace(
        one,
        path=f"{PUBLIC}/jobs",
        endpoint=jobs.get_jobs,
        action="JOB_GET_ALL",
        user_message="Jobs",
        summary="Find jobs",
        result="JobList",
        statuses=(200,),
        parameters=("jobs",),
    )
    yield one
    yield replace(
        one,
        path=f"{PUBLIC}/batches/{{id}}",
        endpoint=jobs.get_batch,
        action="BATCH_GET_ONE",
        user_message="Batch",
        summary="Get the totals of a batch",
        result="Batch",
    )


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
        parameters=("fields", "expand", "includeDeleted"),
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
    yield replace(shared, path=root + "/{id}")
    yield replace(
        shared,
        path=root + "/external/{externalId}",
        endpoint=endpoints.get_by_external_id,
        summary=f"Get a {one} by external id",
    )
    yield replace(shared, path=root + "/id/{id}", endpoint=endpoints.get_by_id, summary=f"Get a {one} by id")
    yield from _writing(resource, shared, one)


def _writing(resource: Resource, shared: Operation, one: str) -> Iterator[Operation]:
    """The operations that write, each by either of a record's ids."""
    root, body = shared.path, f"{resource.schema_name}Input"
    written = replace(
        shared,
        scope=f"{resource.name}:write",
        result="JobQueueMetaList",
        statuses=(200, 404, 412),
        parameters=("writing",),
    )
    put = replace(
        written,
        method="PUT",
        body=body,
        action=resource.action("UPSERT"),
        statuses=(200, 409, 412, 422),
        parameters=("mode", "writing"),
    )
    change = replace(
        written,
        method="PATCH",
        body=f"{resource.schema_name}Patch",
        action=resource.action("UPDATE"),
        statuses=(200, 404, 409, 412, 422),
    )
    gone = replace(written, method="DELETE", action=resource.action("DELETE"), parameters=("deleting",))
    yield replace(
        put,
        method="POST",
        endpoint=writing.create,
        action=resource.action("CREATE"),
        summary=f"Create a {one}",
        result=resource.schema_name,
        statuses=(201, 409, 422),
        parameters=("writing",),
    )
    yield replace(
        put,
        endpoint=bulk.upsert_many,
        summary=f"Create or update many {resource.title_plural.lower()}",
        body=f"{resource.schema_name}BulkInput",
        user_message=resource.title_plural,
        action=resource.action("UPSERT_MANY"),
        statuses=(200,),
        parameters=("errorPolicy",),
    )
    upsert = f"Create or update a {one} by external id"
    yield replace(put, path=root + "/{externalId}", endpoint=writing.upsert, summary=upsert)
    by_id = replace(put, statuses=(200, 404, 409, 412, 422))
    yield replace(by_id, path=root + "/id/{id}", endpoint=writing.upsert_by_id, summary=f"Update a {one} by id")
    for tail, by, patch, delete in (
        ("/external/{externalId}", "external id", writing.patch, writing.delete),
        ("/id/{id}", "id", writing.patch_by_id, writing.delete_by_id),
    ):
        yield replace(change, path=root + tail, endpoint=patch, summary=f"Update a part of a {one} by {by}")
        yield replace(gone, path=root + tail, endpoint=delete, summary=f"Delete a {one} by {by}")
