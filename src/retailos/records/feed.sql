-- name: read
-- Changes behind a position ($1, $2) of some resources ($3), at most $4, of transactions that no snapshot can miss any
-- more: whatever commits later has a higher xid than the oldest one that still runs.
select xid::text as xid, seq, resource, record_id, operation, at
from change
where (xid, seq) > ($1::text::xid8, $2::bigint) and xid < pg_snapshot_xmin(pg_current_snapshot())
    and resource = any($3::text[])
order by xid, seq
limit $4;

-- name: now
-- The position behind which everything is that is not yet seen.
select pg_snapshot_xmin(pg_current_snapshot())::text;
