-- name: insert
-- Keep a new key's digest.
insert into api_key (id, name, digest, scopes, created_at)
values ($1, $2, $3, $4, date_trunc('milliseconds', now()))
returning created_at;

-- name: find
-- What is known of a key, to recognise it.
select id, name, digest, scopes, expires_at, revoked_at from api_key where id = $1;

-- name: list
-- All keys, the newest first.
select id, name, scopes, created_at, expires_at, revoked_at from api_key order by created_at desc, id;

-- name: revoke
-- Take a key away; taking it away twice keeps the first moment.
update api_key set revoked_at = coalesce(revoked_at, date_trunc('milliseconds', now())) where id = $1 returning id;

-- name: pepper
-- What the installation mixes into its digests, unless the settings say otherwise.
select pepper from instance;
