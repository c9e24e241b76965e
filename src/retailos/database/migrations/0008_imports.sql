-- Imports: files of records, kept as they came until they are applied, and what of them was refused.

create table import (
    id uuid primary key,
    resource text not null,
    format text not null check (format in ('ndjson', 'csv')),
    -- The first row of a CSV file, which names its columns.
    header text,
    status text not null default 'uploading'
        check (status in ('uploading', 'queued', 'active', 'completed', 'failed', 'cancelled')),
    max_error_rate double precision not null check (max_error_rate between 0 and 1),
    request_id uuid,
    api_key_id text,
    created_at timestamptz(3) not null,
    -- The upload's last sign of life; without one for long enough it has broken off.
    touched_at timestamptz(3) not null,
    queued_at timestamptz(3),
    started_at timestamptz(3),
    ended_at timestamptz(3),
    bytes bigint not null default 0,
    rows bigint not null default 0,
    chunks integer not null default 0,
    -- The checkpoint: chunks up to this number are applied, and what came of their rows is counted here.
    applied integer not null default 0 check (applied <= chunks),
    rows_read bigint not null default 0,
    rows_failed bigint not null default 0 check (rows_failed <= rows_read),
    outcomes jsonb not null default '{}' check (jsonb_typeof(outcomes) = 'object'),
    error jsonb,
    -- Who applies it, and until when it is nobody else's.
    runner uuid,
    lease_until timestamptz(3),
    check ((status in ('uploading', 'queued', 'active')) = (ended_at is null))
);
create index import_waiting on import (queued_at, id) where status in ('queued', 'active');
create index import_created_at on import (created_at, id);

-- A span of the file that begins and ends between two records, and is applied in one transaction.
create table import_chunk (
    import_id uuid not null references import on delete cascade,
    number integer not null check (number >= 1),
    first_line bigint not null check (first_line >= 1),
    data bytea not null,
    primary key (import_id, number)
);
-- It is written once, read once and gone: to compress it would cost more than it spares.
alter table import_chunk alter column data set storage external;

-- A record of a file that was refused, as it came.
create table import_failure (
    import_id uuid not null references import on delete cascade,
    line bigint not null,
    external_id text collate "C",
    data bytea not null,
    error jsonb not null,
    primary key (import_id, line)
);
-- For erasure, which knows people by their external ids.
create index import_failure_external_id on import_failure (external_id) where external_id is not null;
