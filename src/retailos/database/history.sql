-- name: make_days
-- Make the partitions of the days to come, of every table that is kept by the day.
select make_days(7);

-- name: drop
-- Drop a part of what a table ($1) holds of the days before the last $2 days; whether there was any.
select drop_history($1, date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' - $2 * interval '1 day');
