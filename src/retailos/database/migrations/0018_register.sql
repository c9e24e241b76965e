-- The register knows when a request that nobody got an answer to can arrive no more, and what is to be sent once more
-- although it was acknowledged.

alter table delivery
    -- To be sent once more, whatever is acknowledged; a claim takes it along.
    add column again boolean not null default false,
    -- Until then a request that was given up may still be applied, over something newer.
    add column doubt_until timestamptz(3);

alter table delivery
    drop constraint delivery_status_check,
    add constraint delivery_status_check check (status in (
        'owed', 'sending', 'retrying', 'confirming', 'delivered', 'skipped', 'failed', 'dismissed'
    ));

-- What is in doubt now was given up before now: it is confirmed after the longest time that this may have been.
update delivery set
    doubt_until = now() + interval '6 minutes',
    status = case status when 'delivered' then 'confirming' else status end
where ambiguous;
insert into due (webhook_id, record_id, due_at)
select webhook_id, record_id, doubt_until from delivery where status = 'confirming'
on conflict (webhook_id, record_id) do nothing;

alter table delivery
    drop column ambiguous,
    -- Settled means acknowledged, and nothing that could undo it.
    add constraint delivery_settled check (
        status <> 'delivered' or (acknowledged = wanted and doubt_until is null and not again)
    );

-- It was sent although its version, or a later one, had been acknowledged: to confirm it, or because somebody asked.
alter table attempt add column again boolean not null default false;
