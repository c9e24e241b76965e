-- name: keep
-- Park upserts of a resource ($1, its queue $2), with a job each, and what each waits for ($16 resources, $17 external
-- ids, $18 job ids, $19 pointers); $20: what is called by what follows from a natural key. One whose record has an upsert parked that is newer at its source is superseded.
with given as materialized (
    select *, date_trunc('milliseconds', now()) as at
    from unnest(
        $3::uuid[], $4::text[], $5::uuid[], $6::boolean[], $7::text[], $8::text[], $9::text[], $10::uuid[],
        $11::timestamptz[], $12::uuid[], $13::text[], $14::uuid[], $15::integer[], $20::boolean[]
    ) as given (
        job_id, external_id, record_id, create_only, body, wants, pointer, claimed_id, source_updated_at, request_id,
        api_key_id, batch_id, position, by_key
    )
),
kept as (
    insert into parked (
        job_id, resource, external_id, record_id, create_only, body, wants, pointer, claimed_id, source_updated_at,
        request_id, api_key_id, batch_id, position, by_key, parked_at
    )
    select job_id, $1, external_id, record_id, create_only, body::jsonb, wants::jsonb, pointer, claimed_id,
        source_updated_at, request_id, api_key_id, batch_id, position, by_key, at
    from given order by external_id, by_key
    on conflict (resource, external_id, by_key) do nothing
    returning job_id
),
waiting as (
    insert into awaited (resource, external_id, job_id, pointer)
    select resource, external_id, job_id, pointer
    from unnest($16::text[], $17::text[], $18::uuid[], $19::text[]) as want (resource, external_id, job_id, pointer)
    where job_id in (select job_id from kept)
    on conflict do nothing
)
insert into job (id, queue_name, status, external_id, created_at, completed_at, request_id, batch_id, position)
select job_id, $2, case when kept.job_id is null then 'superseded' else 'unresolved' end, external_id, at,
    case when kept.job_id is null then at end, request_id, batch_id, position
from given left join kept using (job_id)
returning id, status, external_id, created_at;

-- name: supersede
-- Give up what is parked for records of a resource ($1; external ids $2, $4: natural keys of these names are meant) and
-- is not newer at its source ($3).
with gone as (
    delete from parked using unnest($2::text[], $3::timestamptz[], $4::boolean[])
        as given (external_id, source_updated_at, by_key)
    where parked.resource = $1 and parked.external_id = given.external_id and parked.by_key = given.by_key
        and coalesce(parked.source_updated_at <= given.source_updated_at, true)
    returning parked.job_id
),
freed as (delete from awaited using gone where awaited.job_id = gone.job_id)
update job set status = 'superseded', error = null, completed_at = date_trunc('milliseconds', now())
from gone where job.id = gone.job_id
returning job.id;

-- name: take
-- Take at most $3 of the upserts that wait for records of a resource ($1, external ids $2), and hold them: they wait for
-- these no longer.
with woken as materialized (
    select * from parked
    where failed_at is null
        and job_id in (select job_id from awaited where resource = $1 and external_id = any($2::text[]))
    order by job_id
    limit $3
    for update
),
come as (
    delete from awaited using woken
    where awaited.job_id = woken.job_id and awaited.resource = $1 and awaited.external_id = any($2::text[])
)
select * from woken;

-- name: finish
-- Record what came of parked upserts ($1, their jobs) that were applied: outcomes, records, versions, external ids.
with gone as (delete from parked where job_id = any($1::uuid[])),
freed as (delete from awaited where job_id = any($1::uuid[]))
update job set status = 'completed', outcome = given.outcome, record_id = given.record_id, version = given.version,
    external_id = given.external_id, error = null, completed_at = date_trunc('milliseconds', now())
from unnest($1::uuid[], $2::text[], $3::uuid[], $4::integer[], $5::text[])
    as given (id, outcome, record_id, version, external_id)
where job.id = given.id;

-- name: fail
-- Record why parked upserts ($1, their jobs) can't be applied ($2); they are kept for a requeue.
with failed as (
    update parked set failed_at = date_trunc('milliseconds', now()) where job_id = any($1::uuid[])
),
freed as (delete from awaited where job_id = any($1::uuid[]))
update job set status = 'failed', error = given.error::jsonb, completed_at = date_trunc('milliseconds', now())
from unnest($1::uuid[], $2::text[]) as given (id, error)
where job.id = given.id;

-- name: withdraw
-- Forget parked upserts and their jobs ($1).
with gone as (delete from parked where job_id = any($1::uuid[])),
freed as (delete from awaited where job_id = any($1::uuid[]))
delete from job where id = any($1::uuid[]);

-- name: expire
-- Give up at most $2 upserts that have waited for $1 hours; they are kept for a requeue.
with late as materialized (
    select job_id from parked
    where failed_at is null and parked_at <= now() - $1 * interval '1 hour'
    order by job_id
    limit $2
    for update skip locked
),
failed as (
    update parked set failed_at = date_trunc('milliseconds', now()) from late where parked.job_id = late.job_id
),
freed as (
    delete from awaited using late where awaited.job_id = late.job_id
    returning awaited.job_id, awaited.pointer, awaited.resource
),
why as (
    select job_id, jsonb_agg(
        jsonb_build_object('path', pointer, 'code', 'REFERENCE_NOT_FOUND', 'message', format($4, resource))
        order by pointer
    ) as errors
    from freed group by job_id
)
update job set status = 'failed', completed_at = date_trunc('milliseconds', now()), error = jsonb_build_object(
    'code', 'REFERENCE_NOT_FOUND', 'message', $3::text, 'details', jsonb_build_object('errors', coalesce(errors, '[]'))
)
from late left join why using (job_id)
where job.id = late.job_id
returning job.id;

-- name: forget
-- Remove what failed $1 hours ago, as its job is forgotten then too.
delete from parked where failed_at <= now() - $1 * interval '1 hour';

-- name: held
-- Hold at most $5 parked upserts behind a job ($4): those that failed, or ($1 false) those that wait; of a resource
-- ($2), of some jobs ($3); null stands for any.
select * from parked
where (failed_at is not null) = $1 and ($2::text is null or resource = $2) and ($3::uuid[] is null or job_id = any($3))
    and job_id > $4
order by job_id
limit $5
for update;

-- name: count
-- How many parked upserts `held` would hold in all.
select count(*) from parked
where (failed_at is not null) = $1 and ($2::text is null or resource = $2) and ($3::uuid[] is null or job_id = any($3));

-- name: reopen
-- Let parked upserts ($1, their jobs) wait anew, for what each waits for ($2 resources, $3 external ids, $4 job ids,
-- $5 pointers).
with opened as (
    update parked set failed_at = null, parked_at = date_trunc('milliseconds', now()) where job_id = any($1::uuid[])
),
waiting as (
    insert into awaited (resource, external_id, job_id, pointer)
    select resource, external_id, job_id, pointer
    from unnest($2::text[], $3::text[], $4::uuid[], $5::text[]) as want (resource, external_id, job_id, pointer)
    on conflict do nothing
)
update job set status = 'unresolved', error = null, completed_at = null where id = any($1::uuid[]);

-- name: concerns
-- Whether an upsert of a resource ($1) is parked, or one waits for a record of it.
select exists (select from parked where resource = $1) or exists (select from awaited where resource = $1);

-- name: overtakes
-- Whether upserts of a resource's records ($1, $2: external ids) were accepted that are not written yet.
select exists (select from queued where resource = $1 and external_id = any($2::text[]));
