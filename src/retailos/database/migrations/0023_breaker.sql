-- What all workers share of a webhook: its breaker, and who may make how many of its requests.

-- One narrow row for each webhook, written only while requests come to nothing, and when that ends.
create table breaker (
    webhook_id integer primary key,
    -- Requests that came to nothing through the receiver's fault since the last one that got through.
    failures integer not null default 0 check (failures >= 0),
    -- Since when deliveries are held, and when the next probe is; null: they are not.
    opened_at timestamptz(3),
    probe_at timestamptz(3),
    -- When it closed last.
    closed_at timestamptz(3),
    check ((opened_at is null) = (probe_at is null))
) with (fillfactor = 50);

-- How many of a webhook's requests at once a worker may make; all workers' together are its concurrency at the most.
create table share (
    webhook_id integer not null,
    worker_id integer not null,
    slots integer not null check (slots >= 0),
    primary key (webhook_id, worker_id)
);

-- Why it was paused by itself; null where a person did it, or it is active.
alter table webhook add column paused_reason text, add check (paused_reason is null or not active);
