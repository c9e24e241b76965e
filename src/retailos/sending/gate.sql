-- name: begin
-- Give a webhook ($1) a breaker, closed, unless it has one.
insert into breaker (webhook_id) select id from webhook where id = $1 on conflict (webhook_id) do nothing;

-- name: note
-- Tell a webhook's breaker ($1) of answers: so many requests came to nothing ($2) since the last one that got through, if
-- any did ($3). It opens at so many failures ($4) in a row, and then wants a probe after so many seconds ($5), or sooner
-- where that is planned already; it closes when anything gets through, and what it held until then is history. Answers to
-- what was sent as the webhook was before ($6: when it was changed, as far as the sender knows) say nothing of it now.
with before as materialized (
    select failures, opened_at, case when $3::boolean then 0 else failures end + $2::integer as now_failures
    from breaker join webhook on webhook.id = webhook_id
    where webhook_id = $1 and webhook.updated_at = $6 for update of breaker
),
after as materialized (
    select *, now_failures >= $4::integer or (opened_at is not null and not $3::boolean) as held from before
),
ended as (
    insert into opening (webhook_id, opened_at, closed_at, failures)
    select $1, opened_at, now(), failures from after where opened_at is not null and (not held or $3::boolean)
    on conflict (webhook_id, opened_at) do nothing
)
update breaker set
    failures = now_failures,
    opened_at = case when held then coalesce(case when not $3::boolean then after.opened_at end, now()) end,
    probe_at = case when held then least(
        case when after.opened_at is not null then probe_at end, now() + $5::double precision * interval '1 second'
    ) end,
    closed_at = case when after.opened_at is not null and not held then now() else breaker.closed_at end
from after where webhook_id = $1
returning breaker.failures, held,
    extract(epoch from probe_at - now())::double precision as probe_seconds,
    extract(epoch from now() - closed_at)::double precision as closed_seconds,
    extract(epoch from now() - after.opened_at)::double precision as opened_seconds;

-- name: probe
-- Take the probe of a breaker ($1) that wants one. Whoever has it tells what came of it; if nobody has after so many
-- seconds ($2), there is another. It is for who sends as the webhook is now ($3: changed last), not as it was before.
update breaker set probe_at = now() + $2 * interval '1 second'
from webhook where webhook.id = $1 and webhook.updated_at = $3 and webhook_id = $1 and probe_at <= now()
returning webhook_id;

-- name: put_back
-- Put back the probe of a breaker ($1): there was nothing to send, so that it is wanted as soon as there is.
update breaker set probe_at = now() where webhook_id = $1 and probe_at is not null;

-- name: shares
-- What a worker ($1) has and is to have of each active webhook's requests at once: as much as any other, the rest going
-- to some here and to others there.
with alive as (
    select id, row_number() over (order by id) as place, count(*) over () as workers
    from worker where lease_until > now()
)
select webhook.id, coalesce(share.slots, 0) as has,
    wanted.concurrency / alive.workers
        + ((alive.place + webhook.id) % alive.workers < wanted.concurrency % alive.workers)::integer as due
from webhook
cross join lateral (select coalesce((settings ->> 'concurrency')::integer, 16) as concurrency) as wanted
join alive on alive.id = $1
left join share on share.webhook_id = webhook.id and share.worker_id = $1
where webhook.active and webhook.deleted_at is null;

-- name: lock_webhooks
-- Let one worker at a time divide what there is of some webhooks ($1).
select id from webhook where id = any($1::integer[]) order by id for no key update;

-- name: divide
-- Let a worker ($1) have so much ($3) of the requests at once of webhooks ($2), or what those leave that have the rest.
insert into share as s (webhook_id, worker_id, slots)
select webhook.id, $1, greatest(least(given.slots, coalesce((settings ->> 'concurrency')::integer, 16) - others.slots), 0)
from unnest($2::integer[], $3::integer[]) as given (webhook_id, slots)
join webhook on webhook.id = given.webhook_id
cross join lateral (
    select coalesce(sum(slots), 0)::integer as slots from share join worker on worker.id = worker_id
    where webhook_id = webhook.id and worker_id <> $1
) as others
order by webhook.id
on conflict (webhook_id, worker_id) do update set slots = excluded.slots
returning webhook_id, slots;

-- name: forget
-- Remove the shares of workers that are gone.
delete from share where not exists (select from worker where worker.id = worker_id);
