-- name: read
-- Changes behind a position ($1, $2) of some resources ($3), at most $4, of transactions that no snapshot can miss any
-- more: whatever commits later has a higher xid than the oldest one that still runs. One row at least: how far the feed
-- is by now, and whether some of those changes were dropped, seen by the same snapshot as the changes.
select position.xid::text as last_xid, position.seq as last_seq, position.timeline,
    exists (
        select from change_horizon
        where resource = any($3::text[]) and (xid, seq) > ($1::text::xid8, $2::bigint)
    ) as expired,
    found.xid, found.seq, found.resource, found.record_id,
    to_char(found.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as changed_at
from feed_position as position
left join (
    select xid, seq, resource, record_id, at
    from change
    where (xid, seq) > ($1::text::xid8, $2::bigint) and xid < pg_snapshot_xmin(pg_current_snapshot())
        and resource = any($3::text[])
    order by xid, seq
    limit $4
) as found on true
order by found.xid, found.seq;

-- name: now
-- The position behind which everything is that is not yet seen.
select xid::text as xid, seq, timeline from feed_position;
