-- name: accept
-- Queue drafts of a resource ($1, its queue $2), as long as fewer than $3 wait; give when, and each one's place.
insert into queued (
    job_id, queue_name, resource, external_id, draft, request_id, api_key_id, batch_id, position, accepted_at
)
select job_id, $2, $1, external_id, draft::jsonb, $4, $5, $6, position, date_trunc('milliseconds', now())
from unnest($7::uuid[], $8::text[], $9::text[], $10::integer[])
    with ordinality as given(job_id, external_id, draft, position, i)
where (select coalesce(max(seq) - min(seq), 0) from queued) < $3
order by i
returning seq, accepted_at;

-- name: waiting
-- What waits of each record: its last place.
select resource, external_id, max(seq) as seq from queued group by resource, external_id;

-- name: first
-- Take the first drafts of a resource ($1) to write, those of these external ids ($2) or of any, at most $3. Whoever
-- takes them keeps them until its transaction ends; others wait, and then find what is left.
select seq, job_id, external_id, draft, request_id, api_key_id, batch_id, position from queued
where resource = $1 and ($2::text[] is null or external_id = any($2))
order by seq limit $3 for update;

-- name: settle
-- End the waiting of drafts that this transaction has written ($1, their jobs), which began when they were accepted; some
-- wait on, for other records.
with written as (delete from queued where job_id = any($1::uuid[]) returning job_id, accepted_at)
update job set created_at = written.accepted_at,
    completed_at = case when job.status <> 'unresolved' then job.created_at end
from written
where job.id = written.job_id and job.created_at = date_trunc('milliseconds', now());

-- name: refuse
-- End the waiting of drafts that can't be written ($1, their jobs), each with the reason.
with given as (select * from unnest($1::uuid[], $2::text[]) as given(job_id, error)),
refused as (delete from queued using given where queued.job_id = given.job_id returning queued.*, error)
insert into job (
    id, queue_name, status, external_id, created_at, completed_at, request_id, batch_id, error, position
)
select job_id, queue_name, 'failed', external_id, accepted_at, date_trunc('milliseconds', now()), request_id, batch_id,
    error::jsonb, position
from refused;
