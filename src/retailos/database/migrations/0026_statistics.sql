-- What came of deliveries, by webhook and minute, so that no page counts attempts. Each settlement adds a row of its own,
-- for which it waits for nobody; what is older than that is folded into one row for each webhook and minute.
create table delivery_minute (
    webhook_id integer not null,
    at timestamptz(3) not null,
    delivered integer not null,
    failed integer not null,
    retried integer not null,
    skipped integer not null,
    -- Of those that were delivered: from when each was due until it was settled, summed up, and the longest.
    lag_seconds double precision not null,
    lag_seconds_most double precision not null
) partition by range (at);
create index delivery_minute_at on delivery_minute (at, webhook_id);
create table delivery_minute_default partition of delivery_minute default;
select make_days(7);
