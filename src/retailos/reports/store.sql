-- name: list
-- The reports that stand, or the one of an id ($1), oldest first, each with when it is due next ($2: the schedule's
-- kind). One whose webhook is gone has ended.
select id, name, webhook_id, settings, active, created_at, updated_at,
    (select due_at from schedule where kind = $2 and subject = report.id::text) as next_at
from report
where deleted_at is null and ($1::integer is null or id = $1)
    and (webhook_id is null or exists (select from webhook where webhook.id = webhook_id and webhook.deleted_at is null))
order by id;

-- name: insert
-- Save a new report; nothing, if another has its name.
insert into report (name, webhook_id, settings, active, created_at, updated_at)
select $1, $2, $3::jsonb, $4, now.at, now.at from (select date_trunc('milliseconds', now()) as at) as now
on conflict (name) where deleted_at is null do nothing
returning id;

-- name: update
-- Save a report ($5) anew.
update report set
    name = $1, webhook_id = $2, settings = $3::jsonb, active = $4,
    updated_at = greatest(date_trunc('milliseconds', now()), updated_at + interval '1 ms')
where id = $5 and deleted_at is null
returning id;

-- name: delete
-- Take a report away; its name is free again, and what it told stays for as long as it is kept.
update report set active = false, deleted_at = date_trunc('milliseconds', now()) where id = $1 and deleted_at is null
returning id;

-- name: hold
-- Whoever changes a report waits for whoever else does.
select from report where id = $1 for update;

-- name: has_webhook
-- Whether a webhook stands.
select exists (select from webhook where id = $1 and deleted_at is null);

-- name: now
-- The moment of this transaction.
select now();
