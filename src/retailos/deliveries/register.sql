-- name: owe
-- Owe records ($2), each of which has a version ($3), to a webhook ($1) from so many seconds ($5) on: once more, whatever
-- is acknowledged ($4), or else only where that version was not wanted yet. What is in flight is owed when it is settled.
with given as materialized (
    select * from unnest($2::uuid[], $3::integer[]) as given (record_id, version)
),
register as (
    insert into delivery as d (webhook_id, record_id, wanted, again)
    select $1, record_id, version, $4 from given order by record_id
    on conflict (webhook_id, record_id) do update set
        wanted = greatest(d.wanted, excluded.wanted),
        again = d.again or excluded.again,
        attempts = 0,
        status = case d.status when 'sending' then 'sending' else 'owed' end
    where excluded.again or excluded.wanted > d.wanted
    returning record_id, status
),
armed as (
    insert into due (webhook_id, record_id, due_at)
    select $1, record_id, now() + $5 * interval '1 second' from register where status = 'owed' order by record_id
    on conflict (webhook_id, record_id) do update set due_at = excluded.due_at where due.due_at > excluded.due_at
)
select count(*) from register;

-- name: mark
-- Owe records ($2), each of which has a version ($3), to a webhook ($1), since others that they show have changed; what is
-- in flight may have been read before that, and is sent once more. What waits is read later, what was dismissed stays so,
-- and so does what failed where each change waits for the one before.
with given as materialized (
    select * from unnest($2::uuid[], $3::integer[]) as given (record_id, version)
),
register as (
    insert into delivery as d (webhook_id, record_id, wanted)
    select $1, record_id, version from given order by record_id
    on conflict (webhook_id, record_id) do update set
        wanted = greatest(d.wanted, excluded.wanted),
        again = d.again or d.status = 'sending',
        attempts = case d.status when 'sending' then d.attempts else 0 end,
        status = case d.status when 'sending' then 'sending' else 'owed' end
    where d.status in ('delivered', 'skipped', 'sending') or d.status = 'failed' and not d.every
    returning record_id, status
),
armed as (
    insert into due (webhook_id, record_id, due_at)
    select $1, record_id, now() from register where status = 'owed' order by record_id
    on conflict (webhook_id, record_id) do update set due_at = excluded.due_at where due.due_at > excluded.due_at
)
select count(*) from register;

-- name: claim
-- Take what is due of a webhook ($1), at most $2, under a new token ($3) for a worker ($4) whose lease holds.
-- Both rows are locked, or neither: writers lock the register before its due row, and never wait for a claim.
-- What is sent from now on comes after every request that can't be applied any more: such a doubt ends here.
with lease as materialized (
    select id from worker where id = $4 and lease_until > now() for key share
),
taken as materialized (
    select due.webhook_id, due.record_id, due.due_at, delivery.again or delivery.status = 'confirming' as again
    from due join delivery using (webhook_id, record_id)
    where due.webhook_id = $1 and due.due_at <= now() and exists (select from lease)
    order by due.due_at
    limit $2
    for update of due, delivery skip locked
),
cleared as (
    delete from due using taken where due.webhook_id = taken.webhook_id and due.record_id = taken.record_id
)
update delivery set
    status = 'sending', token = $3, worker_id = $4, attempts = delivery.attempts + 1, again = false,
    doubt_until = case when delivery.doubt_until > now() then delivery.doubt_until end
from taken
where delivery.webhook_id = taken.webhook_id and delivery.record_id = taken.record_id
returning delivery.record_id, delivery.attempts, delivery.acknowledged, taken.again, delivery.passed, delivery.told,
    extract(epoch from taken.due_at)::double precision as due_at;

-- name: known
-- What a webhook ($1) has acknowledged of a record ($2), and what it was told.
select acknowledged, told from delivery where webhook_id = $1 and record_id = $2;

-- name: wanted
-- Which versions of some records ($2) a webhook ($1) is to have.
select record_id, wanted from delivery where webhook_id = $1 and record_id = any($2::uuid[]);

-- name: claimed
-- What a token ($2) holds of a webhook ($1). Tokens have no index: this is for a claim whose answer was lost.
select record_id from delivery where webhook_id = $1 and token = $2;

-- name: settle
-- Record what became of attempts of a webhook ($1): each in the register, if its claim still holds, and in the history.
-- A delivery acknowledges the version that was sent; what is wanted beyond that, or once more, is owed again. Where a
-- request was given up so many seconds ($2) ago at the most, it may be applied after what is acknowledged now: this is
-- sent once more then. Where every change is sent ($3), the next one waits until this one was delivered, or given up
-- where that is passed over ($4). Each delivery ($5 to $9) names its verdict ($10 to $21) and its exchange ($22 to $27),
-- counted from 1, which many share; what the attempts of a batch have in common is kept beside them ($28).
-- What somebody else has locked is left as it is, and told by its number: a long write of one record delays no other.
-- Where this may have been done before ($29), what the history has of it is not written again.
with given as materialized (
    select nth, record_id, version, due_at, its_exchange, verdict.*,
        not $3 or outcome in ('delivered', 'skipped') or (outcome = 'failed' and $4) as lets_go
    from unnest($5::uuid[], $6::integer[], $7::double precision[], $8::integer[], $9::integer[])
        with ordinality as each (record_id, version, due_at, its_verdict, its_exchange, nth)
    join unnest(
        $10::uuid[], $11::text[], $12::boolean[], $13::double precision[], $14::boolean[], $15::text[], $16::smallint[],
        $17::boolean[], $18::uuid[], $19::smallint[], $20::text[], $21::boolean[]
    ) with ordinality as verdict (
        token, outcome, acknowledges, after_seconds, ambiguous, reason, number,
        again, told, status, detail, response_truncated, nth_verdict
    ) on nth_verdict = its_verdict
),
held as materialized (
    select nth, given.record_id, version, due_at, outcome, acknowledges, lets_go, after_seconds, ambiguous,
        given.reason, given.again, given.told
    from delivery join given on delivery.record_id = given.record_id and delivery.token = given.token
    where delivery.webhook_id = $1
    order by delivery.record_id
    for update of delivery skip locked
),
busy as materialized (
    select nth
    from delivery join given on delivery.record_id = given.record_id and delivery.token = given.token
    where delivery.webhook_id = $1 and (select count(*) from held) < cardinality($5::uuid[])
        and nth not in (select nth from held)
),
settled as (
    update delivery set
        acknowledged = case
            when held.acknowledges then greatest(delivery.acknowledged, held.version) else delivery.acknowledged
        end,
        -- What was read may be newer than what anybody owed, written past the program or while the webhook was disabled.
        wanted = case
            when held.acknowledges then greatest(delivery.wanted, held.version) else delivery.wanted
        end,
        status = case
            when delivery.again or delivery.wanted > held.version and held.lets_go then 'owed'
            when held.outcome in ('delivered', 'skipped') and delivery.doubt_until is not null then 'confirming'
            else held.outcome
        end,
        attempts = case
            when held.outcome in ('delivered', 'skipped') or delivery.again
                or delivery.wanted > held.version and held.lets_go then 0
            when held.outcome = 'owed' then greatest(delivery.attempts - 1, 0)
            else delivery.attempts
        end,
        passed = case when $3 and held.lets_go then greatest(delivery.passed, held.version) else delivery.passed end,
        told = held.told,
        token = null,
        worker_id = null,
        again = delivery.again or held.again and held.outcome not in ('delivered', 'skipped'),
        doubt_until = case when held.ambiguous then now() + $2 * interval '1 second' else delivery.doubt_until end,
        error_class = case when held.outcome <> 'skipped' then held.reason end,
        skipped_why = case when held.outcome = 'skipped' then held.reason end,
        settled_at = date_trunc('milliseconds', now())
    from held
    where delivery.webhook_id = $1 and delivery.record_id = held.record_id
    returning delivery.record_id, delivery.status, delivery.doubt_until, held.after_seconds,
        held.outcome <> 'owed' or delivery.wanted > held.version and held.lets_go or delivery.again and not held.again
            as at_once
),
armed as (
    insert into due (webhook_id, record_id, due_at)
    select $1, record_id, case status
        when 'owed' then now() + case when at_once then 0 else coalesce(after_seconds, 0) end * interval '1 second'
        when 'retrying' then now() + after_seconds * interval '1 second'
        when 'confirming' then doubt_until
        else 'infinity'
    end
    from settled where status not in ('delivered', 'skipped') order by record_id
    on conflict (webhook_id, record_id) do nothing
),
history as (
    insert into attempt (
        webhook_id, record_id, version, number, again, at, request_id, url, status, error_class, detail, milliseconds,
        response_headers, response_body, response_truncated
    )
    select $1, record_id, version, number, again, now() - age_seconds * interval '1 second', request_id, url,
        status, reason, detail, milliseconds, response_headers::jsonb, response_body, response_truncated
    from given join unnest($22::uuid[], $23::text[], $24::real[], $25::text[], $26::bytea[], $27::double precision[])
        with ordinality as exchange (
            request_id, url, milliseconds, response_headers, response_body, age_seconds, nth_exchange
        ) on nth_exchange = its_exchange
    where outcome <> 'skipped' and nth not in (select nth from busy)
        and case when $29 then not exists (
            select from attempt as known
            where known.record_id = given.record_id and known.webhook_id = $1 and known.request_id = exchange.request_id
                and known.at > now() - interval '1 day'
        ) else true end
),
counted as (
    insert into delivery_minute (
        webhook_id, at, delivered, failed, retried, skipped, lag_seconds, lag_seconds_most
    )
    select $1, date_trunc('minute', now()), count(*) filter (where outcome = 'delivered'),
        count(*) filter (where outcome = 'failed'), count(*) filter (where outcome = 'retrying'),
        count(*) filter (where outcome = 'skipped'),
        coalesce(sum(moment - due_at) filter (where outcome = 'delivered'), 0),
        coalesce(max(moment - due_at) filter (where outcome = 'delivered'), 0)
    from held cross join (select extract(epoch from now())::double precision as moment offset 0) as clock
    having count(*) > 0
),
kept as (
    insert into batch (
        request_id, at, url, size, bytes, status, detail, milliseconds, response_headers, response_body,
        response_truncated, warnings
    )
    select request_id, now() - age_seconds * interval '1 second', url, size, bytes, status, detail, milliseconds,
        headers, decode(body, 'base64'), truncated, warnings
    from json_to_recordset($28::text::json) as sent (
        request_id uuid, age_seconds double precision, url text, size smallint, bytes integer, status smallint,
        detail text, milliseconds real, headers jsonb, body text, truncated boolean, warnings text[]
    )
    where case when $29 then not exists (
        select from batch as known
        where known.request_id = sent.request_id and known.at > now() - interval '1 day'
    ) else true end
)
select (select count(*) from settled) as held, array(select nth::integer - 1 from busy) as busy;

-- name: lock
-- Wait for the registers of some records ($2) of a webhook ($1), in the order in which everybody locks them.
select from delivery where webhook_id = $1 and record_id = any($2::uuid[]) order by record_id for update;

-- name: moment
-- What a statement of this transaction takes for now.
select now();

-- name: waiting
-- How many deliveries of a webhook ($1) are due, $2 at the most, and for how many seconds the first has been.
select count(*)::integer as due, coalesce(extract(epoch from now() - min(due_at)), 0)::double precision as seconds
from (
    select due_at from due where webhook_id = $1 and due_at <= now() order by due_at limit $2
) as first;

-- name: release
-- Give back what a worker claimed of a webhook ($1) and did not send: records ($2) under tokens ($3), as if never taken;
-- and once more, whatever is acknowledged, where that is why it was claimed ($4). What the receiver has been told by then
-- ($5; null: what is known) may be more than before, where a batch with it was refused as a whole.
with held as materialized (
    select delivery.record_id, given.again, given.told
    from delivery join unnest($2::uuid[], $3::uuid[], $4::boolean[], $5::uuid[]) as given (record_id, token, again, told)
        on delivery.record_id = given.record_id and delivery.token = given.token
    where delivery.webhook_id = $1
    order by delivery.record_id
    for update of delivery
),
released as (
    update delivery set
        status = 'owed', token = null, worker_id = null, attempts = greatest(attempts - 1, 0),
        again = delivery.again or held.again, told = coalesce(held.told, delivery.told)
    from held where delivery.webhook_id = $1 and delivery.record_id = held.record_id
    returning delivery.record_id
)
insert into due (webhook_id, record_id, due_at)
select $1, record_id, now() from released order by record_id
on conflict (webhook_id, record_id) do nothing;

-- name: enlist
-- Begin a worker's lease: its name, and for how many seconds.
insert into worker (name, started_at, lease_until)
values ($1, now(), now() + $2 * interval '1 second')
returning id;

-- name: renew
-- Prolong a lease that has not run out; none is found where it has.
update worker set lease_until = now() + $2 * interval '1 second' where id = $1 and lease_until > now() returning id;

-- name: dismiss
-- Set failed deliveries of a webhook ($1) aside, all or those of some records ($2), at most $3 of them: they are settled
-- until their record changes or somebody asks.
with failed as materialized (
    select delivery.record_id
    from due join delivery using (webhook_id, record_id)
    where due.webhook_id = $1 and due.due_at = 'infinity' and delivery.status = 'failed'
        and ($2::uuid[] is null or due.record_id = any($2))
    order by delivery.record_id
    limit $3
    for update of delivery
),
dismissed as (
    update delivery set status = 'dismissed', passed = wanted, settled_at = date_trunc('milliseconds', now())
    from failed
    where delivery.webhook_id = $1 and delivery.record_id = failed.record_id and delivery.status = 'failed'
    returning delivery.record_id
),
undue as (
    delete from due using dismissed where due.webhook_id = $1 and due.record_id = dismissed.record_id
)
select count(*) from dismissed;

-- name: end_leases
-- End the leases that have run out, and that of the worker that leaves ($1). Claims hold a share of their worker's row,
-- so this waits for those under way, and none is made afterwards.
delete from worker where lease_until <= now() or id = $1 returning id, name;

-- name: rescue
-- What these workers ($1) had claimed is owed again. Whether it was applied, nobody knows, and it still may be for so
-- many seconds ($2) after the webhook's timeout. Of what had left, it stays known that it had.
with held as materialized (
    select webhook_id, record_id from delivery
    where status = 'sending' and worker_id = any($1::integer[])
    order by webhook_id, record_id
    for update
),
rescued as (
    update delivery set
        status = 'owed', token = null, worker_id = null,
        told = case
            when told in ('00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000002')
                then '00000000-0000-0000-0000-000000000002'::uuid
            else '00000000-0000-0000-0000-000000000001'
        end,
        doubt_until = now() + interval '1 second' * ($2 + coalesce((
            select (settings ->> 'timeout')::double precision from webhook where webhook.id = delivery.webhook_id
        ), 300))
    from held where delivery.webhook_id = held.webhook_id and delivery.record_id = held.record_id
    returning delivery.webhook_id, delivery.record_id
),
armed as (
    insert into due (webhook_id, record_id, due_at)
    select webhook_id, record_id, now() from rescued order by webhook_id, record_id
    on conflict (webhook_id, record_id) do nothing
)
select count(*) from rescued;

-- name: next_due
-- In how many seconds each active webhook has something to send, and how its breaker stands; nothing, if it has none.
-- What an open breaker holds is due with its probe.
select webhook.id,
    extract(epoch from greatest(next.due_at, breaker.probe_at) - now())::double precision as seconds,
    coalesce(breaker.failures, 0) as failures,
    extract(epoch from breaker.probe_at - now())::double precision as probe_seconds,
    extract(epoch from now() - breaker.closed_at)::double precision as closed_seconds
from webhook
cross join lateral (
    select due_at from due where webhook_id = webhook.id and due_at < 'infinity' order by due_at limit 1
) as next
left join breaker on breaker.webhook_id = webhook.id
where webhook.active and webhook.deleted_at is null;

-- name: fold_tally
-- Fold the differences that writers left into one for each resource.
with folded as (delete from tally returning resource, delta)
insert into tally (resource, delta) select resource, sum(delta) from folded group by resource;

-- name: tally_length
-- How many differences stand in the tally.
select count(*) from tally;

-- name: sweep_deleted
-- Remove what a write that began before a webhook was deleted still owed to it.
with gone as (select id from webhook where deleted_at is not null),
undue as (delete from due using gone where due.webhook_id = gone.id)
delete from delivery using gone where delivery.webhook_id = gone.id;
