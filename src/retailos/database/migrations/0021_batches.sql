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
select make_days(7);
