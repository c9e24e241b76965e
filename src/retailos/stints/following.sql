-- name: begin
-- Have a webhook ($1) follow the feed from a position on ($2, $3, $4), with so many deliveries ahead ($5).
insert into relation_cursor (webhook_id, xid, seq, timeline, ahead) values ($1, $2::text::xid8, $3, $4, $5)
on conflict (webhook_id) do update set
    xid = excluded.xid, seq = excluded.seq, timeline = excluded.timeline, changed = default, place = default,
    after_id = default, ahead = excluded.ahead;

-- name: find
-- How far a webhook ($1) is.
select xid::text as xid, seq, timeline, changed, place, after_id, ahead from relation_cursor where webhook_id = $1;

-- name: save
-- A webhook ($1) is so far now.
update relation_cursor set
    xid = $2::text::xid8, seq = $3, timeline = $4, changed = $5, place = $6, after_id = $7, ahead = $8
where webhook_id = $1;

-- name: forget
-- A webhook ($1) follows nothing any more.
delete from relation_cursor where webhook_id = $1;
