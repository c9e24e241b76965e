-- name: states
-- How many deliveries of a webhook ($1) there are in each state.
select status, count(*) from delivery where webhook_id = $1 group by status;

-- name: due
-- How many deliveries of a webhook ($1) would go out now, if nothing held them.
select count(*) from due where webhook_id = $1 and due_at <= now();
