-- The bytes that a record was last sent as while it was like that already, as a digest of them. While the record has
-- that version, whoever sends the same bytes again need not have them read. Nothing refers to a row, and without it the
-- bytes are read as ever.
create table resent (
    record_id uuid primary key,
    version integer not null,
    digest bytea not null
) with (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0
);
