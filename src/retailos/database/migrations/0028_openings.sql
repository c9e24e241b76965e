-- From when to when breakers held what their webhooks were owed, so that what came late can be explained. What holds now
-- stands in the breaker's own row alone, and comes here when it is over.

create table opening (
    webhook_id integer not null,
    opened_at timestamptz(3) not null,
    closed_at timestamptz(3) not null,
    -- Requests that came to nothing in a row until then, probes among them.
    failures integer not null,
    primary key (webhook_id, opened_at)
);
