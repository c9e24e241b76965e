-- name: read
-- Changes behind a position ($1, $2) of some resources ($3), at most $4, of transactions that no snapshot can miss any
-- more: whatever commits later has a higher xid than the oldest one that still runs. Before them one row that says how
-- far the feed is by now, and whether some of those changes were dropped, seen by the same snapshot as the changes.
select xid::text as last_xid, seq as last_seq, timeline,
    exists (
        select from change_horizon
        where resource = any($3::text[]) and (xid, seq) > ($1::text::xid8, $2::bigint)
    ) as expired,
    null as xid, null as seq, null as resource, null as record_id, null as changed_at
from feed_position
union all
select null, null, null, null, xid, seq, resource, record_id,
    to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
from (
    select xid, seq, resource, record_id, at
    from change
    where (xid, seq) > ($1::text::xid8, $2::bigint) and xid < pg_snapshot_xmin(pg_current_snapshot())
        and resource = any($3::text[])
    order by xid, seq
    limit $4
) as found
order by xid nulls first, seq;

-- name: now
-- The position behind which everything is that is not yet seen.
select xid::text as xid, seq, timeline from feed_position;
