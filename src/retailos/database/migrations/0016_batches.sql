-- Deliveries that go out as one request have its answer in common, which is kept once and not with each attempt.

-- One request that told of many records; its attempts have its `request_id`.
create table batch (
    request_id uuid not null,
    at timestamptz(3) not null,
    url text not null,
    size smallint not null,
    bytes integer not null,
    status smallint,
    detail text,
    milliseconds real not null,
    response_headers jsonb,
    response_body bytea,
    response_truncated boolean not null default false,
    -- What of the answer was passed over.
    warnings text[] not null default '{}'
) partition by range (at);
create index batch_request_id on batch (request_id);
create table batch_default partition of batch default;

create or replace function make_days(ahead integer) returns void language plpgsql as $$
declare
    parent text;
    day date;
begin
    foreach parent in array array['change', 'attempt', 'job', 'batch'] loop
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
