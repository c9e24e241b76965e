-- name: list
-- Deliveries of a webhook ($1), in a state ($2), of records ($3), with an error class ($4), settled last from a moment
-- ($5) on and before another ($6), of some webhooks ($7), whose last attempt had an HTTP status ($8) of these classes
-- ($9); each null stands for any. In the register's order.
select webhook_id, record_id, wanted, acknowledged, status, attempts, doubt_until is not null as ambiguous,
    error_class, skipped_why, settled_at,
    (select due_at from due where due.webhook_id = delivery.webhook_id and due.record_id = delivery.record_id) as due_at
from delivery
where ($1::integer is null or webhook_id = $1) and ($2::text is null or status = $2)
    and ($3::uuid[] is null or record_id = any($3))
    and ($4::text is null or error_class = $4) and ($5::timestamptz is null or settled_at >= $5)
    and ($6::timestamptz is null or settled_at < $6) and ($7::integer[] is null or webhook_id = any($7))
    and ($8::smallint is null or error_class = any($9::text[]) and $8 = answered(delivery))
order by webhook_id, record_id
limit $10 offset $11;

-- name: list_waiting
-- The same for states in which a delivery stands in the due table, which is small however long the register is.
select webhook_id, record_id, wanted, acknowledged, status, attempts, doubt_until is not null as ambiguous,
    error_class, skipped_why, settled_at, due_at
from due join delivery using (webhook_id, record_id)
where ($1::integer is null or webhook_id = $1) and status = $2 and ($3::uuid[] is null or record_id = any($3))
    and ($4::text is null or error_class = $4) and ($5::timestamptz is null or settled_at >= $5)
    and ($6::timestamptz is null or settled_at < $6) and ($7::integer[] is null or webhook_id = any($7))
    and ($8::smallint is null or error_class = any($9::text[]) and $8 = answered(delivery))
    and (status = 'failed') = (due_at = 'infinity')
order by webhook_id, record_id
limit $10 offset $11;

-- name: count
-- How many deliveries those would be in all.
select count(*) from delivery
where ($1::integer is null or webhook_id = $1) and ($2::text is null or status = $2)
    and ($3::uuid[] is null or record_id = any($3))
    and ($4::text is null or error_class = $4) and ($5::timestamptz is null or settled_at >= $5)
    and ($6::timestamptz is null or settled_at < $6) and ($7::integer[] is null or webhook_id = any($7))
    and ($8::smallint is null or error_class = any($9::text[]) and $8 = answered(delivery));

-- name: of_job
-- The delivery of one of these webhooks ($1), each of the record ($2) that it would be about.
select webhook_id, record_id, wanted, acknowledged, status, attempts, doubt_until is not null as ambiguous,
    error_class, skipped_why, settled_at,
    (select due_at from due where due.webhook_id = delivery.webhook_id and due.record_id = delivery.record_id) as due_at
from unnest($1::integer[], $2::uuid[]) as given (webhook_id, record_id) join delivery using (webhook_id, record_id)
limit 1;

-- name: since
-- When the first change of a record ($1) behind a version ($2) was made, as far as changes are kept.
select min(at) from change where record_id = $1 and version > $2;

-- name: attempts
-- The last attempts ($3 at the most) of one delivery, newest first; a batch's halves are asked after it.
select attempt.version, attempt.number, attempt.again, attempt.at, attempt.request_id,
    coalesce(batch.url, attempt.url) as url, attempt.status, attempt.error_class,
    coalesce(attempt.detail, batch.detail) as detail, attempt.milliseconds,
    coalesce(batch.response_headers, attempt.response_headers) as response_headers,
    coalesce(nullif(attempt.response_body, ''), batch.response_body) as response_body,
    attempt.response_truncated or (attempt.response_body = '' and coalesce(batch.response_truncated, false))
        as response_truncated,
    batch.size, batch.bytes, batch.warnings
from attempt left join batch using (request_id)
where attempt.webhook_id = $1 and attempt.record_id = $2
order by attempt.at desc, attempt.number desc, batch.size limit $3;
