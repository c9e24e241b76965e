-- A webhook that is disabled is told nothing, and owed nothing of what changes meanwhile; one that is paused is only told
-- later.
alter table webhook
    add column disabled boolean not null default false,
    add constraint webhook_disabled check (not (active and disabled));

-- A backfill waits for whoever wrote before it began; since when it does.
alter table operation
    drop column xid,
    add column settling_since timestamptz;
