-- name: stand
-- What there is once for the whole installation ($1), due at once unless it is planned already.
insert into schedule (kind, subject, due_at) select kind, '', now() from unnest($1::text[]) as kind
on conflict (kind, subject) do nothing;

-- name: claim
-- One thing that is due, of these kinds ($1), and not about what is under way here ($2); whoever else looks passes it
-- over until it has moved.
select kind, subject, due_at, now() as now
from schedule
where kind = any($1::text[]) and due_at <= now() and kind || ' ' || subject <> all($2::text[])
order by due_at
limit 1
for update skip locked;

-- name: move
-- It is due again at a moment ($3), and never at the same one: a clock that was put back repeats no tick.
update schedule set due_at = greatest($3, due_at + interval '1 ms'), ticked_at = due_at where kind = $1 and subject = $2;

-- name: end
-- It is not due any more.
delete from schedule where kind = $1 and subject = $2;

-- name: postpone
-- Where it still is due when it was ($3), it is so many seconds ($4) later.
update schedule set due_at = now() + $4 * interval '1 second' where kind = $1 and subject = $2 and due_at = $3;

-- name: next
-- In how many seconds something of these kinds ($1) is due that is not under way here ($2); nothing, if nothing is.
select extract(epoch from min(due_at) - now())::double precision
from schedule where kind = any($1::text[]) and kind || ' ' || subject <> all($2::text[]);
