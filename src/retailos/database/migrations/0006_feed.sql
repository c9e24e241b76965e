-- What the change feed has forgotten, how far it is, and the dropping of what is older than retention.

-- The last change of each resource that was dropped: a reader that has not come so far has missed something.
create table change_horizon (
    resource text primary key,
    xid xid8 not null,
    seq bigint not null
);

-- Which history the positions count in: another database, another server and another timeline of the same server count
-- otherwise. A timeline begins where a standby takes over, or a backup is restored: what it does not have may have been
-- read before.
create function feed_timeline() returns text language sql stable as $$
    select left(md5(concat_ws(' ',
        (pg_control_system()).system_identifier,
        (select oid from pg_database where datname = current_database()),
        left(pg_walfile_name(pg_current_wal_lsn()), 8)
    )), 8)
$$;

-- One row: the position behind everything that no transaction can come before any more. It is that of a change, not the
-- number of the next transaction: after a crash such a number may be given again.
create view feed_position as
select xid, seq, feed_timeline() as timeline
from (
    select xid, seq from (
        select xid, seq from change where xid < pg_snapshot_xmin(pg_current_snapshot())
        order by xid desc, seq desc limit 1
    ) as last
    union all
    select xid, seq from change_horizon
    union all
    select '0'::xid8, 0
) as known
order by xid desc, seq desc
limit 1;

-- Drops one part of what was changed before a moment, the beginning of a day: a day's partition, or some of what the
-- default partition took. Gives whether there was any, so that who calls it can go on in another transaction: while a
-- partition is dropped nobody can write, so that nothing else may happen before the end. One session at a time does it.
create function drop_changes(before timestamptz) returns boolean language plpgsql set lock_timeout = '100ms' as $$
declare
    day text;
    dropped bigint;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('drop_changes', 0)) then
        return false;
    end if;
    select relname into day
    from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = 'change'::regclass and relname ~ '_[0-9]{8}$'
        and (to_date(right(relname, 8), 'YYYYMMDD') + 1)::timestamp at time zone 'UTC' <= before
    order by relname limit 1;
    if day is not null then
        -- Nobody writes to so old a day; if somebody did, it would be missing in the horizon.
        execute format('lock table %I in share mode', day);
        execute format($horizon$
            insert into change_horizon as h (resource, xid, seq)
            select resource, xid, (select max(seq) from %1$I as d where d.xid = last.xid and d.resource = last.resource)
            from (select resource, max(xid) as xid from %1$I group by resource) as last
            on conflict (resource) do update set xid = excluded.xid, seq = excluded.seq
            where (excluded.xid, excluded.seq) > (h.xid, h.seq)
        $horizon$, day);
        execute format('drop table %I', day);
        return true;
    end if;
    with gone as (
        delete from change_default where ctid = any(array(select ctid from change_default where at < before limit 10000))
        returning resource, xid, seq
    ),
    horizon as (
        insert into change_horizon as h (resource, xid, seq)
        select distinct on (resource) resource, xid, seq from gone order by resource, xid desc, seq desc
        on conflict (resource) do update set xid = excluded.xid, seq = excluded.seq
        where (excluded.xid, excluded.seq) > (h.xid, h.seq)
    )
    select count(*) into dropped from gone;
    return dropped > 0;
end $$;
