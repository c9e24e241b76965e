-- What every record and every webhook needs, whatever the resources are: keys, names, changes, what is owed, and
-- what became of it. The records' own tables follow in a migration that is written from their declarations.

-- One row: what this installation alone knows.
create table instance (
    only_one boolean primary key default true check (only_one),
    -- Mixed into the digests of API keys, so that a stolen table of digests is of no use elsewhere.
    pepper bytea not null default decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
);
insert into instance default values;

create table api_key (
    id text primary key check (id ~ '^[0-9A-Za-z]{10}$'),
    name text not null check (char_length(name) between 1 and 100),
    digest bytea not null check (octet_length(digest) = 32),
    scopes text[] not null check (cardinality(scopes) > 0),
    created_at timestamptz(3) not null,
    expires_at timestamptz(3),
    revoked_at timestamptz(3)
);

-- Other external ids that lead to a record: the ids it had before, and those of records merged into it.
create table alias (
    resource text not null,
    external_id text collate "C" not null,
    record_id uuid not null,
    primary key (resource, external_id)
);
create index alias_record_id on alias (record_id);

-- How many living records there are, as a sum of differences: counting them would scan, and one counter in one row
-- would make every writer wait for every other. A worker folds the differences together.
create table tally (
    resource text not null,
    delta bigint not null
);
create index tally_resource on tally (resource);

-- What writes did to records, in the order in which readers may see it: below the snapshot's xmin, by (xid, seq).
create table change (
    seq bigint generated always as identity,
    xid xid8 not null default pg_current_xact_id(),
    resource text not null,
    record_id uuid not null,
    version integer not null,
    operation text not null,
    at timestamptz(3) not null,
    request_id uuid,
    api_key_id text,
    snapshot jsonb
) partition by range (at);
create index change_xid_seq on change (xid, seq);
create index change_record on change (record_id, version);

-- A standing order: for this resource, tell this URL, this way, with this policy.
create table webhook (
    id integer generated always as identity primary key,
    name text not null check (char_length(name) between 1 and 100),
    resource text not null,
    url text not null,
    method text not null check (method in ('PUT', 'POST', 'PATCH')),
    headers jsonb not null check (jsonb_typeof(headers) = 'object'),
    retry_limit integer not null check (retry_limit >= 0),
    retry_delay double precision not null check (retry_delay >= 0),
    retry_backoff boolean not null,
    retry_delay_max double precision not null check (retry_delay_max >= 0),
    timeout double precision not null check (timeout > 0),
    concurrency integer not null check (concurrency > 0),
    active boolean not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null,
    deleted_at timestamptz(3)
);
create unique index webhook_name on webhook (resource, name) where deleted_at is null;

-- The register: which version of a record a webhook is to have, and which it has acknowledged. There is no index on
-- what changes, so that nearly every update stays within its page.
create table delivery (
    webhook_id integer not null,
    record_id uuid not null,
    wanted integer not null,
    acknowledged integer not null default 0 check (acknowledged <= wanted),
    status text not null default 'owed' check (status in ('owed', 'sending', 'retrying', 'delivered', 'failed')),
    attempts smallint not null default 0,
    -- New with every claim; only its holder may settle.
    token uuid,
    worker_id integer,
    -- An attempt ended without telling whether it was applied.
    ambiguous boolean not null default false,
    error_class text,
    settled_at timestamptz(3),
    primary key (webhook_id, record_id),
    check ((status = 'sending') = (token is not null))
) with (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0
);

-- When something owed is to be sent next; 'infinity' is never, until it is requeued. What is owed and not in flight
-- stands here once, so this table stays as small as the work at hand.
create table due (
    webhook_id integer not null,
    record_id uuid not null,
    due_at timestamptz not null,
    primary key (webhook_id, record_id)
) with (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0
);
create index due_webhook_id_due_at on due (webhook_id, due_at);

-- One HTTP exchange.
create table attempt (
    webhook_id integer not null,
    record_id uuid not null,
    version integer not null,
    number smallint not null,
    at timestamptz(3) not null,
    request_id uuid not null,
    url text not null,
    status smallint,
    error_class text,
    detail text,
    milliseconds real not null,
    response_headers jsonb,
    response_body bytea,
    response_truncated boolean not null default false
) partition by range (at);
create index attempt_record on attempt (record_id, webhook_id, at);

-- Inbound work, one narrow row for each answered upsert, so that every JobQueueMeta can be looked up.
create table job (
    id uuid not null,
    queue_name text not null,
    status text not null,
    outcome text,
    external_id text,
    record_id uuid,
    version integer,
    created_at timestamptz(3) not null,
    request_id uuid
) partition by range (created_at);
create index job_id on job (id);

-- One lease for each worker process; what a worker had claimed when its lease ran out is owed again.
create table worker (
    id integer generated always as identity primary key,
    name text not null,
    started_at timestamptz(3) not null,
    lease_until timestamptz(3) not null
);

-- History is dropped by the day. Days are made ahead; a default partition takes what no day takes, so that a write
-- never fails for want of one.
create table change_default partition of change default;
create table attempt_default partition of attempt default;
create table job_default partition of job default;

create function make_days(ahead integer) returns void language plpgsql as $$
declare
    parent text;
    day date;
begin
    foreach parent in array array['change', 'attempt', 'job'] loop
        for day in select generate_series(0, ahead) + (now() at time zone 'UTC')::date loop
            begin
                execute format(
                    'create table if not exists %I partition of %I for values from (%L) to (%L)',
                    parent || to_char(day, '_YYYYMMDD'), parent, day || ' 00:00Z', day + 1 || ' 00:00Z'
                );
            exception when check_violation then
                -- The default partition holds rows of that day already, and keeps taking them.
                null;
            end;
        end loop;
    end loop;
end $$;
select make_days(7);
