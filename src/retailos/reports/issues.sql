-- name: make
-- Make an issue ($1) of a report ($2) for recipients ($4): count what has failed, of one webhook ($3) or of all, and keep
-- a row of each, at most so many ($5), all as one snapshot shows it.
with failed as materialized (
    select *, row_number() over (order by queue_name, error_class, record_id, job_id) as number
    from failure where $3::integer is null or webhook_id = $3
),
kept as (
    insert into report_row (
        issue_id, at, number, queue_name, webhook_id, resource, record_id, job_id, version, error_class, attempts,
        failed_at
    )
    select $1, date_trunc('milliseconds', now()), number, queue_name, webhook_id, resource, record_id, job_id, version,
        error_class, attempts, failed_at
    from failed where number <= $5
    returning number
),
counted as (
    select webhook_id, queue_name, error_class, count(*) as count from failed group by 1, 2, 3
)
insert into report_issue (id, report_id, at, counts, total, rows, recipients, waiting)
select $1, $2, date_trunc('milliseconds', now()),
    (
        select coalesce(jsonb_agg(
            jsonb_build_object(
                'webhookId', webhook_id, 'queueName', queue_name, 'errorClass', error_class, 'count', count
            ) order by count desc, queue_name, error_class
        ), '[]') from counted
    ),
    (select count(*) from failed), (select count(*) from kept), $4, $4
returning *;

-- name: count
-- What such an issue would count, of one webhook ($1) or of all.
select webhook_id, queue_name, error_class, count(*) as count
from failure where $1::integer is null or webhook_id = $1
group by 1, 2, 3 order by count desc, queue_name, error_class;

-- name: list
-- The issues of a report ($1), the newest first.
select * from report_issue where report_id = $1 order by at desc, id limit $2 offset $3;

-- name: find
-- One issue.
select * from report_issue where id = $1;

-- name: rows
-- Rows of an issue ($1, of its moment $2) behind one of them ($3), at most $4.
select number, queue_name, webhook_id, resource, record_id, job_id, version, error_class, attempts, failed_at
from report_row where issue_id = $1 and at = $2 and number > $3
order by number limit $4;

-- name: attempt
-- Begin an attempt at an issue's mail; nothing, where it is not to be sent any more.
update report_issue set attempts = attempts + 1, error = null where id = $1 and status = 'sending' returning *;

-- name: settle
-- Write down what came of an attempt ($2, its number) at an issue's mail ($1): its status ($3), who waits still ($4), who
-- was refused ($5) and what else went wrong ($6); nothing, where another attempt was begun meanwhile.
update report_issue set
    status = $3, waiting = $4, refused = refused || $5::jsonb, error = $6,
    sent_at = case $3 when 'sent' then date_trunc('milliseconds', now()) end
where id = $1 and attempts = $2 and status = 'sending'
returning id;

-- name: forget
-- Remove the issues of the days before the last $1 days, as their rows are dropped then too.
delete from report_issue
where at < date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' - $1 * interval '1 day';
