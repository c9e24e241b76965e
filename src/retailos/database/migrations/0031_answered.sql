-- With what HTTP status a delivery was answered last, where its last attempt is known; null: it was not answered.
-- An attempt is settled within a day, a dismissal is later: so most days of attempts need no look.
create function answered(delivery) returns smallint language sql stable as $$
    select attempt.status from attempt
    where attempt.webhook_id = $1.webhook_id and attempt.record_id = $1.record_id
        and at <= $1.settled_at + interval '1 s'
        and at > $1.settled_at - case $1.status when 'dismissed' then interval '100 years' else interval '1 day' end
    order by at desc, number desc limit 1
$$;
