-- Error reports: who is mailed what has failed and when, and what had failed at each of these moments.

create table report (
    id integer generated always as identity primary key,
    name text not null check (char_length(name) between 1 and 100),
    -- Whose failures it tells of; null: those of all webhooks, and upserts that were given up. A report ends with its
    -- webhook.
    webhook_id integer,
    settings jsonb not null check (jsonb_typeof(settings) = 'object'),
    active boolean not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null,
    deleted_at timestamptz(3)
);
create unique index report_name on report (name) where deleted_at is null;

-- What a report told at one moment, and what became of its mail.
create table report_issue (
    id uuid primary key,
    report_id integer not null,
    at timestamptz(3) not null,
    -- By queue and error class, the worst first.
    counts jsonb not null check (jsonb_typeof(counts) = 'array'),
    total bigint not null,
    -- How many of them are in the file.
    rows bigint not null check (rows <= total),
    status text not null default 'sending' check (status in ('sending', 'sent', 'failed')),
    attempts smallint not null default 0,
    recipients text[] not null,
    -- Who has it not yet and may get it; and who is not to get it, each with what the mail server said.
    waiting text[] not null,
    refused jsonb not null default '{}' check (jsonb_typeof(refused) = 'object'),
    error text,
    sent_at timestamptz(3)
);
create index report_issue_report on report_issue (report_id, at);
create index report_issue_at on report_issue (at);

-- The rows of its file: one for each failure, by ids of ours alone.
create table report_row (
    issue_id uuid not null,
    at timestamptz(3) not null,
    number integer not null,
    queue_name text not null,
    webhook_id integer,
    resource text not null,
    record_id uuid,
    job_id uuid,
    version integer,
    error_class text not null,
    attempts smallint,
    failed_at timestamptz(3)
) partition by range (at);
create index report_row_issue on report_row (issue_id, number);
create table report_row_default partition of report_row default;
select make_days(7);

-- All that has failed and waits for somebody: deliveries, and upserts whose records refer to others that never came.
create view failure as
select webhook.id as webhook_id, 'webhook:' || webhook.resource || ':' || webhook.name as queue_name, webhook.resource,
    delivery.record_id, null::uuid as job_id, delivery.wanted as version,
    coalesce(delivery.error_class, 'unknown') as error_class, delivery.attempts, delivery.settled_at as failed_at
from webhook
join due on due.webhook_id = webhook.id and due.due_at = 'infinity'
join delivery on delivery.webhook_id = due.webhook_id and delivery.record_id = due.record_id
where webhook.deleted_at is null and delivery.status = 'failed'
union all
select null, job.queue_name, parked.resource, null, parked.job_id, null, coalesce(job.error ->> 'code', 'unknown'), null,
    parked.failed_at
from parked join job on job.id = parked.job_id
where parked.failed_at is not null;
