-- name: fence
-- Lock an import for the one ($2) that applies it, while its checkpoint is still before the chunk $3; nothing where
-- the import has ended, or another has taken it over.
select chunks, rows_read, rows_failed, outcomes, max_error_rate, request_id, api_key_id from import
where id = $1 and runner = $2 and status = 'active' and applied = $3 - 1 for update;

-- name: keep_failures
-- Keep rows that were refused: their lines ($2), what they call their records ($3), themselves ($4) and why ($5).
insert into import_failure (import_id, line, external_id, data, error)
select $1, line, external_id, data, error::jsonb
from unnest($2::bigint[], $3::text[], $4::bytea[], $5::text[]) as given(line, external_id, data, error);

-- name: checkpoint
-- The chunk $2 is applied, and its bytes are gone: rows read ($3) and failed ($4) and outcomes ($5) so far, the status
-- from now on ($6), why the import failed if it did ($7), and for how many seconds it is nobody else's ($8).
with gone as (delete from import_chunk where import_id = $1 and number = $2)
update import set
    applied = $2, rows_read = $3, rows_failed = $4, outcomes = $5::jsonb, status = $6, error = $7::jsonb,
    ended_at = case when $6 <> 'active' then now() end,
    lease_until = case when $6 = 'active' then clock_timestamp() + make_interval(secs => $8) end
where id = $1;
