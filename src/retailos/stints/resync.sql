-- name: settle_down
-- Whether an operation ($1) can see all that was written before its webhook was to be owed what changes: whoever wrote
-- without knowing of that was in a transaction when the first step looked, and is in it no more. After a minute nobody
-- is who has something to write, since no statement of ours may take so long.
update operation set settling_since = coalesce(settling_since, now())
where id = $1
returning settling_since < now() - interval '60 seconds' or settling_since < now() and not exists (
    select from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
        and xact_start <= settling_since
);
