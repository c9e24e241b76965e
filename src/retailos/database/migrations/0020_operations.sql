-- Operations: what an operator has begun and a worker goes on with, step by step, each step in a transaction of its own
-- with the checkpoint here, so that whoever dies over one, nothing of it is done twice and nothing left out.

create table operation (
    id uuid primary key,
    kind text not null check (kind in ('requeue', 'dismiss', 'backfill', 'resync')),
    webhook_id integer not null,
    -- Who began it: an operator, or the webhook's own policy.
    cause text not null check (cause in ('operator', 'policy')),
    -- Which deliveries it is about, as it was asked for; the moment of its beginning bounds it.
    selection jsonb not null check (jsonb_typeof(selection) = 'object'),
    -- Records a second at the most; null: as many as the receiver takes.
    rate double precision check (rate > 0),
    status text not null default 'active' check (status in ('active', 'completed', 'cancelled')),
    -- How many there were when it began; of these some are done, and others were found to need nothing any more.
    total bigint not null check (total >= 0),
    done bigint not null default 0 check (done >= 0),
    skipped bigint not null default 0 check (skipped >= 0),
    -- The checkpoint: records up to this id are behind it.
    after_id uuid not null default '00000000-0000-0000-0000-000000000000',
    -- How many deliveries may wait to be sent before it adds more, so that changes do not stand behind all of it.
    ahead integer not null check (ahead > 0),
    -- What is written in transactions older than this one it may not see.
    xid xid8 not null default pg_current_xact_id(),
    request_id uuid,
    api_key_id text,
    created_at timestamptz(3) not null,
    ended_at timestamptz(3),
    check ((status = 'active') = (ended_at is null))
);
create index operation_webhook_id_created_at on operation (webhook_id, created_at);
create index operation_created_at on operation (created_at, id);
