-- name: find
-- One import.
select * from import where id = $1;

-- name: list
-- Imports of these resources ($1) and of this status ($2; null: any), newest first.
select * from import
where resource = any($1::text[]) and ($2::text is null or status = $2)
order by created_at desc, id desc
limit $3 offset $4;

-- name: cancel
-- An import that has not ended ends now; what is applied of it stays. Waits for a transaction that applies a chunk.
update import set status = 'cancelled', ended_at = now(), lease_until = null
where id = $1 and status in ('uploading', 'queued', 'active');

-- name: failures
-- Refused rows of an import behind a line ($2), in the file's order.
select line, data, error from import_failure where import_id = $1 and line > $2 order by line limit $3;

-- name: forget
-- Removes the refused rows of records with these external ids ($2) of a resource ($1).
delete from import_failure using import
where import.id = import_id and import.resource = $1 and import_failure.external_id = any($2::text[]);
