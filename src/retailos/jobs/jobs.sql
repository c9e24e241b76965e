-- name: insert_failed
-- Keep the jobs of records that were refused, with the reason of each.
insert into job (id, queue_name, status, external_id, created_at, request_id, batch_id, error, position)
select id, $1, 'failed', external_id, date_trunc('milliseconds', now()), $2, $3, error::jsonb, position
from unnest($4::uuid[], $5::text[], $6::text[], $7::integer[]) as given(id, external_id, error, position);

-- name: find
-- One job, with what it waits for.
select id, queue_name, status, outcome, external_id, record_id, version, created_at, completed_at, batch_id, error,
    position, warnings, case when status = 'unresolved' then (
        select jsonb_agg(
            jsonb_build_object('path', pointer, 'resource', resource, 'externalId', awaited.external_id)
            order by pointer collate "C"
        )
        from awaited where awaited.job_id = job.id
    ) end as awaits
from any_job as job where id = $1;

-- name: list
-- Jobs by queue ($1), status ($2), resource ($3, the middle of the queue's name), external id ($4) and batch ($5); each
-- null stands for any. Newest first, each with what it waits for.
select id, queue_name, status, outcome, external_id, record_id, version, created_at, completed_at, batch_id, error,
    position, warnings, case when status = 'unresolved' then (
        select jsonb_agg(
            jsonb_build_object('path', pointer, 'resource', resource, 'externalId', awaited.external_id)
            order by pointer collate "C"
        )
        from awaited where awaited.job_id = job.id
    ) end as awaits
from any_job as job
where ($1::text is null or queue_name = $1) and ($2::text is null or status = $2)
    and ($3::text is null or split_part(queue_name, ':', 2) = $3)
    and ($4::text is null or external_id = $4) and ($5::uuid is null or batch_id = $5)
order by created_at desc, id desc
limit $6 offset $7;

-- name: batch
-- How many jobs of a batch there are by status and outcome, and when it came.
select status, outcome, count(*) as jobs, min(created_at) as created_at
from any_job where batch_id = $1 group by status, outcome order by status, outcome;
