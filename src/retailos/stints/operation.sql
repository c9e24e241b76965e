-- name: insert
-- Begin an operation: its id, kind, webhook, cause, selection, rate, total, how many may wait, request and API key.
insert into operation (
    id, kind, webhook_id, cause, selection, rate, total, ahead, request_id, api_key_id, created_at
)
values ($1, $2, $3, $4, $5::jsonb, $6, $7, $8, $9, $10, date_trunc('milliseconds', now()))
returning *;

-- name: find
-- One operation.
select * from operation where id = $1;

-- name: list
-- Operations of a webhook ($1), of a kind ($2), in a state ($3); each null stands for any. Newest first.
select * from operation
where ($1::integer is null or webhook_id = $1) and ($2::text is null or kind = $2) and ($3::text is null or status = $3)
order by created_at desc, id desc
limit $4 offset $5;

-- name: hold
-- One operation that goes on, held until its step is done; whoever cancels it waits for that.
select operation.*, webhook.resource from operation join webhook on webhook.id = webhook_id
where operation.id = $1 and status = 'active' for update of operation;

-- name: advance
-- A step is done: so many more ($2), so many passed over ($3), up to a record ($4), and how many may wait ($5). With a
-- status ($6) other than active it has ended.
update operation set
    done = done + $2, skipped = skipped + $3, after_id = $4, ahead = $5, status = $6,
    ended_at = case when $6 <> 'active' then date_trunc('milliseconds', now()) end
where id = $1
returning *;

-- name: cancel
-- End an operation that goes on; what is done stays.
update operation set status = 'cancelled', ended_at = date_trunc('milliseconds', now())
where id = $1 and status = 'active';

-- name: cancel_all
-- End those of a webhook ($1).
update operation set status = 'cancelled', ended_at = date_trunc('milliseconds', now())
where webhook_id = $1 and status = 'active';

-- name: goes_on
-- Whether one of a webhook ($1) and a kind ($2) goes on that its own policy has begun.
select exists (
    select from operation where webhook_id = $1 and kind = $2 and cause = 'policy' and status = 'active'
);

-- name: count_waiting
-- How many deliveries of a webhook ($1) wait for its receiver now; $2 stands for any more. Where a batch waits to be full,
-- all but one of its records are waiting for others, however fast the receiver is.
with filling as materialized (
    select coalesce((settings ->> 'batchSize')::integer, 1) - 1 as most from webhook
    where id = $1 and (settings ->> 'batchWait')::double precision > 0
),
given as materialized (
    select coalesce((select most from filling), 0) as filling
)
select greatest(count(*) - (select filling from given), 0)
from (
    select from due where webhook_id = $1 and due_at <= now() limit $2::bigint + (select filling from given)
) as waiting;

-- name: forget
-- Remove operations that ended so many days ($1) ago.
delete from operation where ended_at < now() - $1 * interval '1 day';
