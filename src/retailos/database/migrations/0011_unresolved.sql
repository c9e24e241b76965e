-- Upserts that wait for records which they refer to and which have not come yet. A record has one at most: a newer
-- upsert of it takes the place of the one that waits. What failed keeps its place too, until it is requeued.
create table parked (
    job_id uuid primary key,
    resource text not null,
    external_id text collate "C" not null,
    -- The id that the record gets if it is a new one.
    record_id uuid not null,
    create_only boolean not null,
    -- Personal data, as the record's own body is: what was sent, checked, but for the references that are sought.
    body jsonb not null check (jsonb_typeof(body) = 'object'),
    -- The references that are sought, with the external ids that they name.
    wants jsonb not null check (jsonb_typeof(wants) = 'array'),
    -- Where the record stood in the request, for the pointers of problems.
    pointer text not null,
    claimed_id uuid,
    source_updated_at timestamptz(3),
    request_id uuid,
    api_key_id text,
    batch_id uuid,
    position integer not null,
    parked_at timestamptz(3) not null,
    -- Set when it was given up; nothing wakes it then but a requeue.
    failed_at timestamptz(3),
    unique (resource, external_id)
) with (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0
);
create index parked_parked_at on parked (parked_at) where failed_at is null;
create index parked_failed_at on parked (failed_at) where failed_at is not null;

-- What they wait for: records by resource and external id, and by whom each is awaited.
create table awaited (
    resource text not null,
    external_id text collate "C" not null,
    job_id uuid not null,
    -- The reference, as a pointer into the request.
    pointer text not null,
    primary key (resource, external_id, job_id, pointer)
) with (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0
);
create index awaited_job_id on awaited (job_id);

-- A parked upsert is done later than its job was made; what is queued is too, and may have brought this already.
alter table job add column if not exists completed_at timestamptz(3);

-- Raises RW002 where an upsert of a record that was just written was accepted before and is not written yet: that one
-- goes first. Raises RW001 where the record is awaited, or has an upsert parked that is older: the write must be done
-- again in a transaction that sees to those too. It is volatile, so it looks with a snapshot of its own, taken
-- after the records' keys are in their index: whoever parked before that is seen, whoever parks later sees the record.
create function refuse_awaited(kind text, written text[]) returns boolean
language plpgsql volatile
-- The tables are empty most of the time, and a plan that was made then must do when they are not. Without being told,
-- PostgreSQL plans this anew at every call, which costs 100 µs.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
    if exists (select from queued where resource = kind and external_id = any(written)) then
        raise exception 'queued' using errcode = 'RW002';
    end if;
    if exists (
        select from awaited where resource = kind and external_id = any(written)
        union all
        select from parked where resource = kind and external_id = any(written)
    ) then
        raise exception 'awaited' using errcode = 'RW001';
    end if;
    return true;
end $$;
