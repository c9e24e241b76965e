-- name: begin
-- An import whose file is about to come, unless so many ($7) have not ended yet.
insert into import (id, resource, format, max_error_rate, request_id, api_key_id, created_at, touched_at)
select $1, $2, $3, $4, $5, $6, date_trunc('milliseconds', now()), now()
where (select count(*) from import where ended_at is null) < $7
returning id;

-- name: append
-- Keep a chunk ($2 its number, $3 its first line, $4 its records, $5 its data), unless the import has ended meanwhile.
with import as (
    update import set chunks = $2, rows = rows + $4, touched_at = now()
    where id = $1 and status = 'uploading' and chunks = $2 - 1
    returning id
)
insert into import_chunk (import_id, number, first_line, data) select id, $2, $3, $5 from import returning number;

-- name: touch
-- The file is still coming: so many bytes ($2) are here.
update import set bytes = $2, touched_at = now() where id = $1 and status = 'uploading' returning id;

-- name: queue
-- The file is here ($2 its bytes, $3 its header row) and waits for its turn; one without rows has nothing to wait for.
update import set
    bytes = $2, header = $3, queued_at = now(), touched_at = now(),
    status = case when chunks = 0 then 'completed' else 'queued' end,
    ended_at = case when chunks = 0 then now() end
where id = $1 and status = 'uploading'
returning *;

-- name: fail
-- The file is no good ($3 says why), and nothing of it will be applied.
update import set status = 'failed', bytes = $2, error = $3::jsonb, ended_at = now()
where id = $1 and status = 'uploading';

-- name: drop
-- Forget an import that was not queued; its chunks go with it.
delete from import where id = $1 and status = 'uploading';
