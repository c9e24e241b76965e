-- name: horizon
-- From which moment on something may be settled that is not to be seen yet: whoever is writing may have done so since his
-- transaction began, at most a minute ago, as nothing is done in it behind the statement that settles. Where sessions can't
-- be seen, there may always be one.
select case
    when bool_or(state is null) then now() - interval '1 minute'
    else greatest(least(now(), min(xact_start) filter (where backend_xid is not null)), now() - interval '1 minute')
end - interval '1 second'
from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid();

-- name: settled
-- Attempts that were settled since a look that saw so much ($1: a snapshot; null: none are wanted yet), from the horizon of
-- that look on ($2), of a webhook ($3) and with an error class, if that is asked for ($4), the last $5 of them, newest
-- first; and what this look sees, in one row at the least. Who wrote a row is known by the lower half of its transaction's
-- id. An attempt is settled within a day.
with look as (
    select pg_current_snapshot() as sees, pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next
),
lately as (
    select attempt.*, (next >> 32 << 32) + xmin::text::bigint as writer from attempt, look
    where settled_at >= $2::timestamptz and at > $2::timestamptz - interval '1 day' and at < now() + interval '1 h'
        and ($3::integer is null or webhook_id = $3) and (error_class is not null or not $4::boolean)
),
fresh as (
    select lately.* from lately, look
    where not pg_visible_in_snapshot(
        (case when writer > next then writer - (1::bigint << 32) else writer end)::text::xid8, $1::text::pg_snapshot
    )
    order by at desc limit $5
)
select sees::text as sees, webhook_id, record_id, version, number, at, status, error_class, milliseconds
from look left join fresh on true order by at desc;
