-- name: states
-- How many deliveries of a webhook ($1) there are in each state.
select status, count(*) from delivery where webhook_id = $1 group by status;
