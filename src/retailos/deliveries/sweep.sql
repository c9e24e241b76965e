-- name: arm_lost
-- Look at so many registers ($3) behind a place ($1, $2), and arm again what is owed and stands nowhere: neither due nor
-- claimed by a worker that lives. What such a worker had sent may still be applied for so many seconds ($4) after the
-- webhook's timeout.
with looked as materialized (
    select webhook_id, record_id from delivery
    where (webhook_id, record_id) > ($1::integer, $2::uuid)
    order by webhook_id, record_id limit $3
),
lost as materialized (
    select webhook_id, record_id from looked join delivery using (webhook_id, record_id)
    where case
        when status = 'sending' then not exists (select from worker where worker.id = delivery.worker_id)
        else status not in ('delivered', 'skipped', 'dismissed') and not exists (
            select from due where due.webhook_id = delivery.webhook_id and due.record_id = delivery.record_id
        )
    end
    order by webhook_id, record_id
    for update of delivery skip locked
),
found as (
    update delivery set
        status = case status when 'sending' then 'owed' else status end,
        doubt_until = case status when 'sending' then now() + interval '1 second' * ($4 + coalesce((
            select (settings ->> 'timeout')::double precision from webhook where webhook.id = delivery.webhook_id
        ), 300)) else doubt_until end,
        told = case
            when status <> 'sending' then told
            when told in ('00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000002')
                then '00000000-0000-0000-0000-000000000002'
            else '00000000-0000-0000-0000-000000000001'
        end,
        token = null, worker_id = null
    from lost where delivery.webhook_id = lost.webhook_id and delivery.record_id = lost.record_id
    returning delivery.webhook_id, delivery.record_id, delivery.status, delivery.doubt_until
),
armed as (
    insert into due (webhook_id, record_id, due_at)
    select webhook_id, record_id, case status
        when 'failed' then 'infinity'
        when 'confirming' then coalesce(doubt_until, now())
        else now()
    end
    from found order by webhook_id, record_id
    on conflict (webhook_id, record_id) do nothing
)
select webhook_id, record_id, (select count(*) from looked) as looked, (select count(*) from found) as armed
from looked order by webhook_id desc, record_id desc limit 1;
