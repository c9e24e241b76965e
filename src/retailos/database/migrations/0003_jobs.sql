-- Jobs of one request are one batch, and one that failed keeps why.
alter table job add column batch_id uuid, add column error jsonb, add column position integer not null default 0;
create index job_batch_id on job (batch_id) where batch_id is not null;
create index job_record on job (external_id, created_at);
