"""The route table: every operation of the public API, derived from the resources."""

from collections.abc import Iterator
from dataclasses import replace

from retailos.api import bulk, changes, endpoints, imports, jobs, prices, writing
from retailos.api.body import EVENTS
from retailos.api.call import Further, Operation
from retailos.api.merge import merge
from retailos.declare.resource import Resource, Resources
from retailos.keys import ANY_VERB, ANY_WRITE, REQUEUE

PUBLIC = "/v2/public"

_UNCHANGED = Further(status=304, when="The record is still at the version that If-None-Match names.")
_ACCEPTED = Further(
    status=202,
    when="Accepted: written soon (`Prefer: respond-async`), or once what it refers to is there.",
    result="JobQueueMetaList",
)
_WAITING = Further(status=202, when="It waits for records that it refers to.", result="JobQueueMetaList")
_TRIED = Further(status=200, when="With `dryRun`: what would happen.", result="JobQueueMetaList")


def public_operations(resources: Resources) -> tuple[Operation, ...]:
    """List the operations of every resource."""
    of_records = (operation for resource in resources.values() for operation in _operations(resource))
    by_key = (_by_natural_key(resources, each) for each in resources.values() if each.natural_key)
    return (*of_records, *by_key, *_of_prices(resources), *_of_jobs(), *_of_imports(), _of_changes())


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
        also=(_WAITING,),
        parameters=("mode", "writing", "prefer"),
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
        statuses=(200, 410),
        parameters=("changes",),
        gives=(EVENTS,),
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
    yield replace(
        one,
        method="POST",
        path=f"{PUBLIC}/jobs/requeues",
        endpoint=jobs.requeue,
        action="JOB_REQUEUE",
        user_message="Requeue",
        scope=REQUEUE,
        summary="Requeue jobs that failed for want of other records",
        body="JobRequeueInput",
        result="JobsRequeued",
        statuses=(200,),
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


def _of_imports() -> Iterator[Operation]:
    """The operations of files of records; the key must allow the resource that a file is of."""
    one = Operation(
        method="GET",
        path=f"{PUBLIC}/imports/{{id}}",
        endpoint=imports.get_import,
        action="IMPORT_GET_ONE",
        user_message="Import",
        scope=ANY_VERB,
        summary="Get how far an import is",
        result="Import",
        statuses=(200, 404),
    )
    root = replace(one, path=f"{PUBLIC}/imports")
    yield replace(
        root,
        endpoint=imports.get_imports,
        action="IMPORT_GET_ALL",
        user_message="Imports",
        summary="Find imports",
        result="ImportList",
        statuses=(200,),
        parameters=("imports",),
    )
    yield replace(
        root,
        method="POST",
        endpoint=imports.create_import,
        action="IMPORT_CREATE",
        scope=ANY_WRITE,
        summary="Import a file of records",
        statuses=(202, 409, 413, 415, 422),
        parameters=("import", "once"),
        takes=tuple(imports.MEDIA_TYPES),
    )
    yield one
    yield replace(
        one,
        method="DELETE",
        endpoint=imports.cancel_import,
        action="IMPORT_CANCEL",
        scope=ANY_WRITE,
        summary="Cancel an import",
    )
    yield replace(
        one,
        path=f"{PUBLIC}/imports/{{id}}/results",
        endpoint=imports.get_results,
        action="IMPORT_GET_RESULTS",
        summary="Get the rows of an import that were refused",
        result="",
        parameters=("results",),
        gives=tuple(each.partition(";")[0] for each in imports.GIVEN.values()),
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
        statuses=(200, 404, *_gone(resource)),
        also=(_UNCHANGED,),
        parameters=("fields", "expand", "includeDeleted", "unlessMatch"),
    )
    yield replace(
        shared,
        endpoint=endpoints.get_all,
        action=resource.action("GET_ALL"),
        user_message=resource.title_plural,
        summary=f"List {many}",
        result=f"{schema}List",
        statuses=(200,),
        also=(),
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
    """The operations that write."""
    root = shared.path
    written = replace(
        shared,
        scope=f"{resource.name}:write",
        result="JobQueueMetaList",
        statuses=(200, 404, 412),
        also=(),
        parameters=("writing", "prefer"),
    )
    put = replace(
        written,
        method="PUT",
        body=f"{resource.schema_name}Input",
        action=resource.action("UPSERT"),
        statuses=(200, 409, 412, 422),
        also=(_ACCEPTED,),
        parameters=("mode", "writing", "preferAny"),
    )
    yield from _of_many(resource, put, one)
    upsert = f"Create or update a {one} by external id"
    yield replace(put, path=root + "/{externalId}", endpoint=writing.upsert, summary=upsert)
    by_id = replace(
        put,
        statuses=(200, 404, 409, *_gone(resource), 412, 422),
        also=(),
        parameters=("mode", "writing", "prefer"),
    )
    yield replace(by_id, path=root + "/id/{id}", endpoint=writing.upsert_by_id, summary=f"Update a {one} by id")
    if resource.mergeable:
        yield _merging(resource, written, one)
    yield from _changing(resource, written, one)


def _of_many(resource: Resource, put: Operation, one: str) -> Iterator[Operation]:
    """The operations that write to a collection: a new record, and many."""
    yield replace(
        put,
        method="POST",
        endpoint=writing.create,
        action=resource.action("CREATE"),
        summary=f"Create a {one}",
        result=resource.schema_name,
        statuses=(201, 409, 422),
        also=(_TRIED, *((_WAITING,) if resource.references else ())),
        parameters=("creating", "once"),
    )
    yield replace(
        put,
        endpoint=bulk.upsert_many,
        summary=f"Create or update many {resource.title_plural.lower()}",
        body=f"{resource.schema_name}BulkInput",
        user_message=resource.title_plural,
        action=resource.action("UPSERT_MANY"),
        statuses=(200,),
        also=(_ACCEPTED,),
        parameters=("mode", "errorPolicy", "preferAny"),
    )


def _changing(resource: Resource, written: Operation, one: str) -> Iterator[Operation]:
    """The operations that change a record or delete it, each by either of its ids."""
    change = replace(
        written,
        method="PATCH",
        body=f"{resource.schema_name}Patch",
        action=resource.action("UPDATE"),
        statuses=(200, 404, 409, *_gone(resource), 412, 422),
    )
    gone = replace(written, method="DELETE", action=resource.action("DELETE"), parameters=("deleting",))
    for tail, by, patch, delete in (
        ("/external/{externalId}", "external id", writing.patch, writing.delete),
        ("/id/{id}", "id", writing.patch_by_id, writing.delete_by_id),
    ):
        yield replace(change, path=written.path + tail, endpoint=patch, summary=f"Update a part of a {one} by {by}")
        yield replace(gone, path=written.path + tail, endpoint=delete, summary=f"Delete a {one} by {by}")


def _merging(resource: Resource, written: Operation, one: str) -> Operation:
    """The operation that makes one record of several."""
    return replace(
        written,
        method="POST",
        path=f"{written.path}/{{id}}/merge",
        endpoint=merge,
        action=resource.action("MERGE"),
        summary=f"Merge others into a {one}",
        body="MergeInput",
        result=f"{resource.schema_name}Merge",
        statuses=(200, 404, 409, 410, 412),
        parameters=("merging",),
    )


def _gone(resource: Resource) -> tuple[int, ...]:
    """What reading a record can answer, besides, where it may have been merged into another."""
    return (410,) if resource.mergeable else ()
