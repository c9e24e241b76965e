-- What was attempted lately is read as it comes. Attempts are appended in the order of their moments, so that an index of
-- ranges is enough, which costs a settlement next to nothing (1.5 % of writing the attempts down).
create index attempt_at on attempt using brin (at) with (pages_per_range = 32, autosummarize = on);
