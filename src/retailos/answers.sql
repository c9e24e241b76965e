-- name: take_turn
-- Whether this transaction is the one that works on a request ($1, a number for it); nobody waits for another.
select pg_try_advisory_xact_lock($1);

-- name: find
-- What was answered in the last 24 hours to a key ($3) of an API key ($1) at a route ($2), and to which request.
select digest, status, headers, result from answer
where api_key_id = $1 and route = $2 and key = $3 and at > now() - interval '24 hours';

-- name: keep
-- Keep an answer; one of more than 24 hours ago makes room for it.
insert into answer (api_key_id, route, key, digest, status, headers, result, record_id, at)
values ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, date_trunc('milliseconds', now()))
on conflict (api_key_id, route, key) do update set
    digest = excluded.digest,
    status = excluded.status,
    headers = excluded.headers,
    result = excluded.result,
    record_id = excluded.record_id,
    at = excluded.at;

-- name: sweep
-- Remove what is older than 24 hours.
delete from answer where at <= now() - interval '24 hours';
