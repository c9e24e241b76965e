-- name: reached
-- For each of some parked upserts ($1, their jobs): at most $2 of those that it waits for, itself among them, and that
-- these wait for in turn, all of some resources ($3); and one of the records that these wait for and none of them will
-- make, if there is one: one of its own first, whose place is taken.
select reached.members, missing.resource, missing.external_id
from unnest($1::uuid[]) as start (job_id)
cross join lateral (
    with recursive reached (job_id) as (
        -- What goes by a natural key is waited for by nobody.
        select job_id from parked where job_id = start.job_id and failed_at is null and not by_key
        union
        select next.job_id
        from reached
        -- By their keys, one by one: joined, the tables would be read whole for each step.
        cross join lateral (
            select resource, external_id from awaited
            where job_id = reached.job_id and resource = any($3::text[])
            offset 0
        ) as want
        cross join lateral (
            select job_id from parked
            where resource = want.resource and external_id = want.external_id and not by_key and failed_at is null
            offset 0
        ) as next
    )
    -- The recursion goes on only for as long as it is asked.
    select array_agg(job_id) as members from (select job_id from reached limit $2) as found
) as reached
left join lateral (
    select resource, external_id from awaited
    where job_id = any(reached.members) and (
        resource <> all($3::text[]) or not exists (
            select from parked
            where parked.resource = awaited.resource and parked.external_id = awaited.external_id
                and not by_key and failed_at is null
        )
    )
    order by job_id <> start.job_id, resource, external_id
    limit 1
) as missing on true
where reached.members is not null;

-- name: hold
-- Hold parked upserts ($1, their jobs) that have not failed.
select * from parked where job_id = any($1::uuid[]) and failed_at is null order by job_id for update;
