-- name: count
-- How many failed deliveries of a webhook ($1) failed from $2 on and before $3, for one of these reasons ($4), of these
-- records ($5); each null stands for any. What failed stands in the due table, which is small however long the register.
select count(*)
from due join delivery using (webhook_id, record_id)
where webhook_id = $1 and due_at = 'infinity' and status = 'failed'
    and (settled_at >= $2::timestamptz) is not false and (settled_at < $3::timestamptz) is not false
    and ($4::text[] is null or error_class = any($4)) and ($5::uuid[] is null or record_id = any($5));

-- name: requeue
-- Owe those behind a record ($6) again, at most $7 of them, and give how many were looked at, how many are owed, and the
-- last. They are found first and held then, since one that a write has owed meanwhile is found no more.
with found as materialized (
    select record_id
    from due join delivery using (webhook_id, record_id)
    where webhook_id = $1 and due_at = 'infinity' and status = 'failed'
        and (settled_at >= $2::timestamptz) is not false and (settled_at < $3::timestamptz) is not false
        and ($4::text[] is null or error_class = any($4)) and ($5::uuid[] is null or record_id = any($5))
        and record_id > $6
    order by record_id
    limit $7
),
held as materialized (
    select delivery.record_id
    from delivery join found on delivery.record_id = found.record_id
    where delivery.webhook_id = $1 and delivery.status = 'failed'
    order by delivery.record_id
    for update of delivery
),
owed as (
    update delivery set status = 'owed', attempts = 0
    from held where delivery.webhook_id = $1 and delivery.record_id = held.record_id
    returning delivery.record_id
),
armed as (
    update due set due_at = now() from owed where due.webhook_id = $1 and due.record_id = owed.record_id
)
select (select count(*) from found) as found, (select count(*) from owed) as moved,
    (select record_id from found order by record_id desc limit 1) as last;
