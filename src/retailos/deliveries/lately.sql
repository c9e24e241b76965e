-- name: settled
-- Attempts that were settled since a look that saw so much ($1: a snapshot; null: none are wanted yet), of a webhook ($2)
-- and with an error class, if that is asked for ($3), the last $4 of them, newest first; and what this look sees, in one
-- row at the least. Who wrote a row is known by the lower half of its transaction's id. What was settled later than ten
-- seconds after its attempt is passed over.
with look as (
    select pg_current_snapshot() as sees, pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next
),
lately as (
    select attempt.*, (next >> 32 << 32) + xmin::text::bigint as writer from attempt, look
    where at > now() - interval '10 s' and at < now() + interval '1 h'
        and ($2::integer is null or webhook_id = $2) and (error_class is not null or not $3::boolean)
),
fresh as (
    select lately.* from lately, look
    where not pg_visible_in_snapshot(
        (case when writer > next then writer - (1::bigint << 32) else writer end)::text::xid8, $1::text::pg_snapshot
    )
    order by at desc limit $4
)
select sees::text as sees, webhook_id, record_id, version, number, at, status, error_class, milliseconds
from look left join fresh on true order by at desc;
