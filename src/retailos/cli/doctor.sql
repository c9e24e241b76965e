-- name: open_transactions
-- Who has had a transaction open in this database for longer than so many seconds ($1), the oldest first.
select pid, coalesce(nullif(application_name, ''), usename, 'somebody') as who,
    extract(epoch from now() - xact_start)::double precision as age
from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
    and xact_start <= now() - $1 * interval '1 second'
order by xact_start;
