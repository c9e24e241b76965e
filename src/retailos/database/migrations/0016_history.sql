-- Every table that is partitioned by the day gets its days made ahead, and is dropped by the day: not the change feed
-- alone, whose readers must learn from a horizon what they have missed.

create or replace function make_days(ahead integer) returns void language plpgsql as $$
declare
    parent text;
    day date;
begin
    for parent in
        select relname from pg_partitioned_table join pg_class on pg_class.oid = partrelid
        where pg_table_is_visible(partrelid) order by relname
    loop
        for day in select generate_series(0, ahead) + (now() at time zone 'UTC')::date loop
            begin
                execute format(
                    'create table if not exists %I partition of %I for values from (%L) to (%L)',
                    parent || to_char(day, '_YYYYMMDD'), parent, day || ' 00:00Z', day + 1 || ' 00:00Z'
                );
            exception when check_violation then
                -- The default partition holds rows of that day already, and keeps taking them.
                null;
            end;
        end loop;
    end loop;
end $$;

drop function drop_changes(timestamptz);

-- Drops one part of what a table holds of the time before a moment, the beginning of a day: a day's partition, or some
-- of what the default partition took. Gives whether there was any, so that who calls it can go on in another
-- transaction: while a partition is dropped nobody can write, so that nothing else may happen before the end. One
-- session at a time does it.
create function drop_history(parent text, before timestamptz) returns boolean language plpgsql
set lock_timeout = '100ms' as $$
declare
    day text;
    moment text;
    dropped bigint;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('drop_history', 0)) then
        return false;
    end if;
    select relname into day
    from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = parent::regclass and relname ~ '_[0-9]{8}$'
        and (to_date(right(relname, 8), 'YYYYMMDD') + 1)::timestamp at time zone 'UTC' <= before
    order by relname limit 1;
    if day is not null then
        if parent = 'change' then
            -- Nobody writes to so old a day; if somebody did, it would be missing in the horizon.
            execute format('lock table %I in share mode', day);
            execute format($horizon$
                insert into change_horizon as h (resource, xid, seq)
                select resource, xid, (select max(seq) from %1$I as d where d.xid = last.xid and d.resource = last.resource)
                from (select resource, max(xid) as xid from %1$I group by resource) as last
                on conflict (resource) do update set xid = excluded.xid, seq = excluded.seq
                where (excluded.xid, excluded.seq) > (h.xid, h.seq)
            $horizon$, day);
        end if;
        execute format('drop table %I', day);
        return true;
    end if;
    if parent = 'change' then
        with gone as (
            delete from change_default
            where ctid = any(array(select ctid from change_default where at < before limit 10000))
            returning resource, xid, seq
        ),
        horizon as (
            insert into change_horizon as h (resource, xid, seq)
            select distinct on (resource) resource, xid, seq from gone order by resource, xid desc, seq desc
            on conflict (resource) do update set xid = excluded.xid, seq = excluded.seq
            where (excluded.xid, excluded.seq) > (h.xid, h.seq)
        )
        select count(*) into dropped from gone;
    else
        select attname into moment
        from pg_partitioned_table join pg_attribute on attrelid = partrelid and attnum = partattrs[0]
        where partrelid = parent::regclass;
        execute format(
            'delete from %1$I where ctid = any(array(select ctid from %1$I where %2$I < $1 limit 10000))',
            parent || '_default', moment
        ) using before;
        get diagnostics dropped = row_count;
    end if;
    return dropped > 0;
end $$;
