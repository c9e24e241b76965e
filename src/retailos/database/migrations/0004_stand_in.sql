-- Tables that stand in until the catalogue is there.

create table products (
    id uuid primary key,
    external_id text collate "C" not null unique check (char_length(external_id) between 1 and 255),
    version integer not null check (version >= 1),
    operation text not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null check (updated_at >= created_at),
    deleted_at timestamptz(3),
    merged_into_id uuid,
    source_updated_at timestamptz(3),
    body jsonb not null check (jsonb_typeof(body) = 'object')
) with (fillfactor = 85);
create index products_updated_at on products (updated_at, id);
create index products_created_at on products (created_at, id);

create table variants (
    id uuid primary key,
    external_id text collate "C" not null unique check (char_length(external_id) between 1 and 255),
    version integer not null check (version >= 1),
    operation text not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null check (updated_at >= created_at),
    deleted_at timestamptz(3),
    merged_into_id uuid,
    source_updated_at timestamptz(3),
    body jsonb not null check (jsonb_typeof(body) = 'object')
) with (fillfactor = 85);
create index variants_updated_at on variants (updated_at, id);
create index variants_created_at on variants (created_at, id);

create table promotions (
    id uuid primary key,
    external_id text collate "C" not null unique check (char_length(external_id) between 1 and 255),
    version integer not null check (version >= 1),
    operation text not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null check (updated_at >= created_at),
    deleted_at timestamptz(3),
    merged_into_id uuid,
    source_updated_at timestamptz(3),
    body jsonb not null check (jsonb_typeof(body) = 'object')
) with (fillfactor = 85);
create index promotions_updated_at on promotions (updated_at, id);
create index promotions_created_at on promotions (created_at, id);
