-- name: count
-- How many failed deliveries of a webhook ($1) failed from $2 on and before $3, for one of these reasons ($4), of these
-- records ($5), answered so ($6); each null stands for any. What failed stands in the due table, which is small however long the register.
select count(*)
from due join delivery using (webhook_id, record_id)
where webhook_id = $1 and due_at = 'infinity' and status = 'failed'
    and (settled_at >= $2::timestamptz) is not false and (settled_at < $3::timestamptz) is not false
    and ($4::text[] is null or error_class = any($4)) and ($5::uuid[] is null or record_id = any($5))
    and ($6::smallint[] is null or answered(delivery) = any($6));

-- name: find
-- Those of them behind a record ($7), at most $8.
select record_id
from due join delivery using (webhook_id, record_id)
where webhook_id = $1 and due_at = 'infinity' and status = 'failed'
    and (settled_at >= $2::timestamptz) is not false and (settled_at < $3::timestamptz) is not false
    and ($4::text[] is null or error_class = any($4)) and ($5::uuid[] is null or record_id = any($5))
    and ($6::smallint[] is null or answered(delivery) = any($6))
    and record_id > $7
order by record_id
limit $8;

-- name: count_dismissed
-- How many deliveries there are that were dismissed, instead of failed ones. They are looked for in the whole register.
select count(*) from delivery
where webhook_id = $1 and status = 'dismissed'
    and (settled_at >= $2::timestamptz) is not false and (settled_at < $3::timestamptz) is not false
    and ($4::text[] is null or error_class = any($4)) and ($5::uuid[] is null or record_id = any($5))
    and ($6::smallint[] is null or answered(delivery) = any($6));

-- name: find_dismissed
-- Those of them behind a record ($7), at most $8, with the versions that they are owed.
select record_id, wanted
from delivery
where webhook_id = $1 and status = 'dismissed'
    and (settled_at >= $2::timestamptz) is not false and (settled_at < $3::timestamptz) is not false
    and ($4::text[] is null or error_class = any($4)) and ($5::uuid[] is null or record_id = any($5))
    and ($6::smallint[] is null or answered(delivery) = any($6))
    and record_id > $7
order by record_id
limit $8;

-- name: requeue
-- Owe failed deliveries of a webhook ($1) again, those of some records ($2) where they still are failed.
with held as materialized (
    select record_id from delivery
    where webhook_id = $1 and record_id = any($2::uuid[]) and status = 'failed'
    order by record_id
    for update
),
owed as (
    update delivery set status = 'owed', attempts = 0
    from held where delivery.webhook_id = $1 and delivery.record_id = held.record_id
    returning delivery.record_id
),
armed as (
    update due set due_at = now() from owed where due.webhook_id = $1 and due.record_id = owed.record_id
)
select count(*) from owed;
