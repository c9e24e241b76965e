-- What a change keeps for those who send every one of them, or send none back to where it came from.

-- Whether a webhook sends every change, from the change's own snapshot: read by the statement of a write.
alter table webhook add column every boolean not null generated always as (
    coalesce(settings->>'sends' = 'every', false)
) stored;

-- The record is by then what the holder of the API key sent, and nothing else.
alter table change add column as_sent boolean not null default false;
