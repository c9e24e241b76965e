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
