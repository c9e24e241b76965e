-- name: arm
-- A kind ($1) of thing is due about a subject ($2) at a moment ($3; null: now), and no longer when it was before.
insert into schedule (kind, subject, due_at) values ($1, $2, coalesce($3, now()))
on conflict (kind, subject) do update set due_at = excluded.due_at;

-- name: disarm
-- A kind ($1) of thing is not due about a subject ($2) any more.
delete from schedule where kind = $1 and subject = $2;
