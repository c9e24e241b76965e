-- name: keep
-- Keep a sealed secret ($5, by the key $4) of a row ($2) of a table ($1) under a name ($3), in place of what was there.
insert into secret (owner_table, owner_row, name, key_id, sealed) values ($1, $2, $3, $4, $5)
on conflict (owner_table, owner_row, name) do update set key_id = excluded.key_id, sealed = excluded.sealed;

-- name: read
-- The sealed secrets of a row ($2) of a table ($1).
select name, key_id, sealed from secret where owner_table = $1 and owner_row = $2;

-- name: forget
-- Forget the secrets of a row ($2) of a table ($1): those of these names ($3), or all.
delete from secret where owner_table = $1 and owner_row = $2 and ($3::text[] is null or name = any($3));

-- name: older
-- Some secrets ($3 at most), behind a place ($4, $5, $6), that another key than this ($1) has sealed, and one of these
-- ($2) can open.
select owner_table, owner_row, name, key_id, sealed from secret
where key_id <> $1 and key_id = any($2::text[]) and (owner_table, owner_row, name) > ($4, $5, $6)
order by owner_table, owner_row, name
limit $3
for update skip locked;

-- name: count
-- How many secrets each key has sealed.
select key_id, count(*) as count from secret group by key_id order by key_id;
