-- name: list
-- When the breaker of a webhook ($1) was open, newest first, $2 of them behind the first $3; one that is open has no end.
select opened_at, closed_at, failures from opening where webhook_id = $1
union all
select opened_at, null, failures from breaker where webhook_id = $1 and opened_at is not null
order by opened_at desc limit $2 offset $3;

-- name: since
-- When the breaker of a webhook ($1) was open that was so after a moment ($2), oldest first, the last $3 of them.
select opened_at, closed_at from (
    select opened_at, closed_at from opening where webhook_id = $1 and closed_at > $2 order by opened_at desc limit $3
) as last order by opened_at;

-- name: forget
-- Remove what was over before the last $1 days.
delete from opening
where closed_at < date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' - $1 * interval '1 day';
