-- Why the version that was settled last was not sent, where it was skipped; null: it was sent, or an earlier version of
-- the program did not keep why. `told` has another word, too: 2, where the record had left, and the receiver may have
-- been told something since.
alter table delivery add column skipped_why text;
