-- name: insert
-- Keep a new key's digest.
insert into api_key (id, name, digest, scopes, networks, expires_at, created_at)
values ($1, $2, $3, $4, $5, $6, date_trunc('milliseconds', now()))
returning id, name, scopes, networks, created_at, expires_at, revoked_at, last_used_at, null::timestamptz as rotating_until;

-- name: find
-- What is known of a key, to recognise it.
select id, name, digest, scopes, expires_at, revoked_at, networks, former_digest, former_until
from api_key where id = $1;

-- name: list
-- All keys, or the one of an id, the newest first.
select id, name, scopes, networks, created_at, expires_at, revoked_at, last_used_at,
    case when former_until > now() then former_until end as rotating_until
from api_key where $1::text is null or id = $1 order by created_at desc, id;

-- name: change
-- Say anew what a key may do; one that was revoked stays as it was.
update api_key set name = $2, scopes = $3, networks = $4, expires_at = $5
where id = $1 and revoked_at is null
returning id;

-- name: rotate
-- Give a key another secret; the one that it had ends after some seconds, and one that it had before ends now.
update api_key
set former_digest = digest, former_until = date_trunc('milliseconds', now()) + make_interval(secs => $3), digest = $2
where id = $1 and revoked_at is null
returning id;

-- name: revoke
-- Take a key away; taking it away twice keeps the first moment.
update api_key set revoked_at = coalesce(revoked_at, date_trunc('milliseconds', now())) where id = $1 returning id;

-- name: used
-- Remember that keys are used, to the minute, so that several processes write it once.
update api_key set last_used_at = date_trunc('minute', now())
where id = any($1::text[]) and last_used_at is distinct from date_trunc('minute', now());

-- name: pepper
-- What the installation mixes into its digests, unless the settings say otherwise.
select pepper from instance;
