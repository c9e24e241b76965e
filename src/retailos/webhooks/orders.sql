-- name: list
-- The webhooks that stand, oldest first.
select id, name, resource, settings, active, disabled, paused_reason, opened_at as held_since, created_at, updated_at
from webhook left join breaker on webhook_id = id
where deleted_at is null order by id;

-- name: list_locked
-- The webhooks that stand, so that nobody changes them meanwhile.
select id, name, resource, settings, active, disabled, created_at, updated_at
from webhook where deleted_at is null order by id for update;

-- name: seal
-- Store the settings of a webhook ($1) without what is kept sealed from now on; to others it has not changed.
update webhook set settings = $2::jsonb where id = $1;

-- name: find
-- One webhook that stands.
select id, name, resource, settings, active, disabled, paused_reason, opened_at as held_since, created_at, updated_at
from webhook left join breaker on webhook_id = id
where id = $1 and deleted_at is null;

-- name: lock
-- One webhook that stands, so that nobody changes it meanwhile.
select id, name, resource, settings, active, disabled, created_at, updated_at
from webhook where id = $1 and deleted_at is null for update;

-- name: insert
-- Save a new webhook; nothing, if another of its resource has its name.
insert into webhook (name, resource, settings, active, created_at, updated_at)
select $1, $2, $3::jsonb, $4, now.at, now.at from (select date_trunc('milliseconds', now()) as at) as now
on conflict (resource, name) where deleted_at is null do nothing
returning id;

-- name: update
-- Save a webhook ($5) anew; the resource stays what it is, since what is owed belongs to it. What was wrong may be mended
-- by it: an open breaker wants a probe at once, or closes where it is switched off, and what was held for a Retry-After is
-- due.
with breaks as materialized (
    select $3::jsonb ->> 'breaker' is distinct from 'off' as still
),
ended as (
    insert into opening (webhook_id, opened_at, closed_at, failures)
    select webhook_id, opened_at, now(), failures from breaker, breaks
    where webhook_id = $5 and opened_at is not null and not still
    on conflict (webhook_id, opened_at) do nothing
),
probed as (
    update breaker set
        failures = case when still then failures else 0 end,
        opened_at = case when still then opened_at end,
        probe_at = case when still then now() end,
        closed_at = case when still then closed_at else now() end
    from breaks where webhook_id = $5 and probe_at is not null
),
early as (
    select record_id from due join delivery using (webhook_id, record_id)
    where webhook_id = $5 and due_at > now() and status = 'owed'
    for update of due skip locked
),
at_once as (
    update due set due_at = now() from early where webhook_id = $5 and due.record_id = early.record_id
)
update webhook set
    name = $1, settings = $3::jsonb, active = $4, paused_reason = case when not $4 then paused_reason end,
    updated_at = greatest(date_trunc('milliseconds', now()), updated_at + interval '1 ms')
where id = $5 and resource = $2 and deleted_at is null
returning id;

-- name: switch
-- Have a webhook ($1) send or not ($2), and be owed what changes or not ($3), as it says from then on. An open breaker
-- wants a probe at once, and what was held for a Retry-After is due.
with probed as (
    update breaker set probe_at = now() where webhook_id = $1 and probe_at is not null
),
early as (
    select record_id from due join delivery using (webhook_id, record_id)
    where webhook_id = $1 and due_at > now() and status = 'owed'
    for update of due skip locked
),
at_once as (
    update due set due_at = now() from early where webhook_id = $1 and due.record_id = early.record_id
)
update webhook set
    active = $2, disabled = $3, paused_reason = case when not $2 then paused_reason end,
    updated_at = case
        when active = $2 and disabled = $3 then updated_at
        else greatest(date_trunc('milliseconds', now()), updated_at + interval '1 ms')
    end
where id = $1 and deleted_at is null
returning id;

-- name: pause
-- Pause a webhook ($1) for a reason ($2) that was found as it was when it was changed last ($3); nothing, if it is another
-- by now, or paused already.
update webhook set
    active = false, paused_reason = $2,
    updated_at = greatest(date_trunc('milliseconds', now()), updated_at + interval '1 ms')
where id = $1 and active and updated_at = $3
returning id;

-- name: delete
-- Take a webhook away; its name is free again.
update webhook set active = false, deleted_at = date_trunc('milliseconds', now())
where id = $1 and deleted_at is null
returning id;

-- name: owed
-- How many deliveries a webhook is owed, those under way included.
select count(*) from delivery where webhook_id = $1 and status not in ('delivered', 'skipped', 'dismissed');

-- name: clear
-- Remove what stands in the registers for a webhook.
with undue as (delete from due where webhook_id = $1),
shared as (delete from share where webhook_id = $1),
closed as (delete from breaker where webhook_id = $1)
delete from delivery where webhook_id = $1;
