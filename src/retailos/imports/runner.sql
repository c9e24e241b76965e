-- name: claim
-- The import whose turn it is, taken by this runner ($1) for so many seconds ($2): the one that has waited longest, and
-- no other, since records of a later file may refer to those of an earlier one; nothing while another holds it.
update import set status = 'active', runner = $1, lease_until = now() + make_interval(secs => $2),
    started_at = coalesce(started_at, date_trunc('milliseconds', now()))
where id = (
    select id from import as first
    where id = (select id from import where status in ('queued', 'active') order by queued_at, id limit 1)
        and (lease_until is null or lease_until < now() or runner = $1)
    for update skip locked
)
returning id, resource, header, chunks, applied;

-- name: chunk
-- One chunk.
select first_line, data from import_chunk where import_id = $1 and number = $2;

-- name: release
-- Another may go on with it at once.
update import set lease_until = null where id = $1 and runner = $2 and status = 'active';

-- name: fail
-- It can't be applied ($3 says why).
update import set status = 'failed', error = $3::jsonb, ended_at = now(), lease_until = null
where id = $1 and runner = $2 and status = 'active';

-- name: fail_lapsed
-- Uploads without a sign of life for so many seconds ($1) have broken off ($2 says so).
update import set status = 'failed', error = $2::jsonb, ended_at = now()
where status = 'uploading' and touched_at < now() - make_interval(secs => $1);

-- name: drop_chunks
-- Some ($1) chunks of imports that have ended; how many there were.
with gone as (
    delete from import_chunk where (import_id, number) in (
        select import_id, number from import_chunk join import on import.id = import_id
        where import.ended_at is not null limit $1
    ) returning 1
)
select count(*) from gone;

-- name: forget
-- Imports that ended so many days ($1) ago, some ($2) at a time, with the rows that were refused.
delete from import where id in (
    select id from import where ended_at < now() - make_interval(days => $1) order by created_at limit $2
);
