-- Records that are merged into others: their external ids lead to the survivor, and are known to be theirs.

-- The record that an alias was the external id of, where that was merged into the one that it leads to; null: the
-- record that it leads to had it before.
alter table alias add column from_id uuid;

create index customers_merged_into_id on customers (merged_into_id) where merged_into_id is not null;
