-- name: keep_jobs
-- Keep the jobs of records that were sent as they are: the queue's name ($1), the request ($2) and the batch ($3), and of
-- each job its id, the external id, the id and the version of its record, and its position. Gives the moment.
with done as (
    insert into job (
        id, queue_name, status, outcome, external_id, record_id, version, created_at, request_id, batch_id, position
    )
    select id, $1, 'completed', 'unchanged', external_id, record_id, version, date_trunc('milliseconds', now()), $2, $3,
        position
    from unnest($4::uuid[], $5::text[], $6::uuid[], $7::integer[], $8::integer[])
        as given(id, external_id, record_id, version, position)
)
select date_trunc('milliseconds', now());

-- name: learn
-- Remember the digests ($3) of what records ($1) were sent as while they had these versions ($2).
insert into resent (record_id, version, digest)
select record_id, version, digest
from unnest($1::uuid[], $2::integer[], $3::bytea[]) as given(record_id, version, digest) order by record_id
on conflict (record_id) do update set version = excluded.version, digest = excluded.digest
where resent.version <= excluded.version;
