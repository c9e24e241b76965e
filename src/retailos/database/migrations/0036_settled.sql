-- When an attempt was settled, which may be long after it was made: whoever watches sees attempts as they are settled.
-- Of those that stand already nobody asks. Rows are appended in the order of these moments, so that an index of ranges is
-- enough; the one by the attempts' own moments was for who watches, too, and passed over what was settled late.
alter table attempt add column settled_at timestamptz;
alter table attempt alter column settled_at set default clock_timestamp();
drop index attempt_at;
create index attempt_settled_at on attempt using brin (settled_at) with (pages_per_range = 32, autosummarize = on);
