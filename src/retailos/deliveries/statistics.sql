-- name: read
-- What came of deliveries of a webhook ($1; null: of all) from a moment ($2) until another ($3), in steps of so many
-- minutes ($4) from the first; steps in which nothing happened are left out.
select date_bin($4 * interval '1 minute', at, $2) as at, sum(delivered) as delivered, sum(failed) as failed,
    sum(retried) as retried, sum(skipped) as skipped, sum(lag_seconds) / nullif(sum(delivered), 0) as lag_mean,
    case when sum(delivered) > 0 then max(lag_seconds_most) end as lag_most
from delivery_minute
where at >= $2 and at < $3 and ($1::integer is null or webhook_id = $1)
group by 1 order by 1;

-- name: now
-- The minute that is under way.
select date_trunc('minute', now());

-- name: fold
-- Fold what several settlements of one webhook and minute added into one row, of the last hours, and not of minutes that
-- settlements may still add to.
with several as materialized (
    select webhook_id, at from delivery_minute
    where at between now() - interval '2 hours' and now() - interval '2 minutes'
    group by webhook_id, at having count(*) > 1
),
folded as (
    delete from delivery_minute as minute using several
    where minute.webhook_id = several.webhook_id and minute.at = several.at
    returning minute.*
)
insert into delivery_minute
select webhook_id, at, sum(delivered), sum(failed), sum(retried), sum(skipped), sum(lag_seconds), max(lag_seconds_most)
from folded group by webhook_id, at;
