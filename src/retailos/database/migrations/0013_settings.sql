-- What a webhook says beyond what others find it by is one value, as it was declared: a new setting is no new column.
alter table webhook add column settings jsonb;
update webhook set settings = jsonb_build_object(
    'url', url, 'method', method, 'headers', headers, 'retryLimit', retry_limit, 'retryDelay', retry_delay,
    'retryBackoff', retry_backoff, 'retryDelayMax', retry_delay_max, 'timeout', timeout, 'concurrency', concurrency
);
alter table webhook
    alter column settings set not null,
    add check (jsonb_typeof(settings) = 'object'),
    drop column url, drop column method, drop column headers, drop column retry_limit, drop column retry_delay,
    drop column retry_backoff, drop column retry_delay_max, drop column timeout, drop column concurrency;
