"""The statement that finds which records are as they are sent, by the digests of the bytes."""

from retailos.declare.resource import Resource
from retailos.records.named_sql import formerly


def unchanged(resource: Resource) -> str:
    """Write the statement that finds which of some records were sent like this before, and are like that still.

    $1 external ids · $2 the digests of the bytes. Gives the ordinal, the record's id and its version. Not of records
    that another of the external ids leads to as well; and it fails with RW001 or RW002 where records are waited for, as
    a write of them does.
    """
    return f"""
select i, r.id, r.version
from unnest($1::text[], $2::bytea[]) with ordinality as given(external_id, digest, i)
join {resource.table} as r on r.external_id = given.external_id
join resent on resent.record_id = r.id and resent.version = r.version and resent.digest = given.digest
where r.deleted_at is null
    and r.id <> all (array({formerly(resource, "$1")}))
    and (select refuse_awaited('{resource.name}', $1))
"""
