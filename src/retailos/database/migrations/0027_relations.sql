-- How far each webhook that follows the records shown within its own is in the change feed.

create table relation_cursor (
    webhook_id integer primary key,
    -- The change behind which it goes on, and the history in which that counts.
    xid xid8 not null,
    seq bigint not null,
    timeline text not null,
    -- Records that changed before that, and whose references are being gone through; null: any record may have changed.
    changed uuid[] default '{}',
    -- Which of the references that are shown, and behind which record.
    place smallint not null default 0,
    after_id uuid not null default '00000000-0000-0000-0000-000000000000',
    -- How many deliveries may wait at the next step.
    ahead integer not null
) with (fillfactor = 50);
