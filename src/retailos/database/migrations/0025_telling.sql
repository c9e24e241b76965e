-- What the register knows of webhooks that are not told of every record's newest state, whatever it is.

alter table delivery
    -- Each change is sent, in order: what waits is not moved by a newer one. It is the webhook's, carried here by each
    -- write, so that the statement of a write need not look it up for what stands already.
    add column every boolean not null default false,
    -- Changes up to this version are behind it though they were not acknowledged: given up, or not to be told.
    add column passed integer not null default 0,
    -- A digest of what the webhook watches of the record, as the receiver has acknowledged it; 0: it was told that the
    -- record is none of its own any more; 1: it may have been told something else meanwhile; null: nothing is watched.
    add column told uuid;
