-- What waits for the record with a natural key is called by what will be its external id, if it is a new one. Until the
-- key is there, nobody knows; and another record may have that external id, and have something waiting, too.
alter table parked add column by_key boolean not null default false;
alter table parked drop constraint parked_resource_external_id_key;
alter table parked add unique (resource, external_id, by_key);
