-- What was answered to requests with an Idempotency-Key, and what was accepted to be written after its answer.

-- One answer, as it was, for a day: whoever sends the same again gets it again, and nothing is done twice. It is written
-- in the transaction of what it tells of. Of the request there is a digest only; the answer shows a record, so erasing
-- the record's person reaches it by the record's id.
create table answer (
    api_key_id text not null,
    route text not null,
    key text collate "C" not null check (char_length(key) between 1 and 255),
    digest bytea not null check (octet_length(digest) = 32),
    status smallint not null,
    headers jsonb not null check (jsonb_typeof(headers) = 'object'),
    result text not null,
    record_id uuid,
    at timestamptz(3) not null,
    primary key (api_key_id, route, key)
);
create index answer_at on answer (at);
create index answer_record_id on answer (record_id);

-- Upserts that were accepted and are written soon, in the order of their coming: drafts at rest. A row is deleted by the
-- transaction that writes its record, or its failure; until then it stands for its job.
create table queued (
    seq bigint generated always as identity primary key,
    job_id uuid not null,
    queue_name text not null,
    resource text not null,
    external_id text collate "C" not null,
    draft jsonb not null check (jsonb_typeof(draft) = 'object'),
    request_id uuid,
    api_key_id text,
    batch_id uuid,
    position integer not null,
    accepted_at timestamptz(3) not null
) with (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0
);
create unique index queued_job_id on queued (job_id);
create index queued_resource_external_id on queued (resource, external_id);
create index queued_batch_id on queued (batch_id) where batch_id is not null;

-- A job that was queued was made when it was accepted and completed later; of all others both are one moment.
alter table job add column completed_at timestamptz(3);

-- Every job, wherever it stands.
create view any_job as
select id, queue_name, status, outcome, external_id, record_id, version, created_at, completed_at, batch_id, error,
    position
from job
union all
select job_id, queue_name, 'queued', null, external_id, null, null, accepted_at, null, batch_id, null, position
from queued;
