-- name: changes
-- The last changes ($3 at the most) of a record ($2) of a resource ($1), newest first.
select version, operation, at, request_id, api_key_id from change
where record_id = $2 and resource = $1
order by version desc limit $3;

-- name: attempts
-- The last attempts ($3 at the most) to tell a webhook ($1) of a record ($2), newest first.
select version, number, at, request_id, status, error_class, again from attempt
where webhook_id = $1 and record_id = $2
order by at desc, number desc limit $3;

-- name: register
-- How a webhook ($1) stands with a record ($2), and when it is sent next.
select delivery.status, wanted, acknowledged, skipped_why, settled_at, due_at
from delivery left join due using (webhook_id, record_id)
where webhook_id = $1 and record_id = $2;
