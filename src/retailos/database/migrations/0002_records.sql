-- The tables of customers, users, stores, territories, regions, departments and clients, as declared.

create table customers (
    id uuid primary key,
    external_id text collate "C" not null unique check (char_length(external_id) between 1 and 255),
    version integer not null check (version >= 1),
    operation text not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null check (updated_at >= created_at),
    deleted_at timestamptz(3),
    merged_into_id uuid,
    source_updated_at timestamptz(3),
    body jsonb not null check (jsonb_typeof(body) = 'object'),
    email text collate "C" generated always as (lower((body->>'email'))) stored,
    telephone text collate "C" generated always as (regexp_replace(regexp_replace((body->>'telephone'), '[^0-9]', '', 'g'), '^00', '')) stored,
    last_name text collate "C" generated always as (lower((body->>'lastName'))) stored,
    first_name text collate "C" generated always as (lower((body->>'firstName'))) stored,
    dob date generated always as (make_date(substr((body->>'dob'), 7, 4)::int, substr((body->>'dob'), 4, 2)::int, substr((body->>'dob'), 1, 2)::int)) stored,
    registered_by_id uuid generated always as (((body->>'registeredById'))::uuid) stored,
    registered_at_id uuid generated always as (((body->>'registeredAtId'))::uuid) stored,
    territory_id uuid generated always as (((body->>'territoryId'))::uuid) stored,
    region_id uuid generated always as (((body->>'regionId'))::uuid) stored
) with (fillfactor = 85);
create index customers_updated_at on customers (updated_at, id);
create index customers_created_at on customers (created_at, id);
create index customers_email on customers (email);
create index customers_telephone on customers (telephone);
create index customers_last_name_first_name on customers (last_name, first_name);
create index customers_dob on customers (dob);
create index customers_registered_by_id on customers (registered_by_id) where registered_by_id is not null;
create index customers_registered_at_id on customers (registered_at_id) where registered_at_id is not null;
create index customers_territory_id on customers (territory_id) where territory_id is not null;
create index customers_region_id on customers (region_id) where region_id is not null;

create table users (
    id uuid primary key,
    external_id text collate "C" not null unique check (char_length(external_id) between 1 and 255),
    version integer not null check (version >= 1),
    operation text not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null check (updated_at >= created_at),
    deleted_at timestamptz(3),
    merged_into_id uuid,
    source_updated_at timestamptz(3),
    body jsonb not null check (jsonb_typeof(body) = 'object'),
    email text collate "C" generated always as (lower((body->>'email'))) stored,
    username text collate "C" generated always as (lower((body->>'username'))) stored,
    current_department_id uuid generated always as (((body->>'currentDepartmentId'))::uuid) stored,
    current_store_id uuid generated always as (((body->>'currentStoreId'))::uuid) stored
) with (fillfactor = 85);
create index users_updated_at on users (updated_at, id);
create index users_created_at on users (created_at, id);
create index users_email on users (email);
create unique index users_username_unique on users (username) where deleted_at is null;
create index users_current_department_id on users (current_department_id) where current_department_id is not null;
create index users_current_store_id on users (current_store_id) where current_store_id is not null;

create table stores (
    id uuid primary key,
    external_id text collate "C" not null unique check (char_length(external_id) between 1 and 255),
    version integer not null check (version >= 1),
    operation text not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null check (updated_at >= created_at),
    deleted_at timestamptz(3),
    merged_into_id uuid,
    source_updated_at timestamptz(3),
    body jsonb not null check (jsonb_typeof(body) = 'object'),
    name text collate "C" generated always as (lower((body->>'name'))) stored,
    catalogue text collate "C" generated always as ((body->>'catalogue')) stored,
    latitude numeric generated always as (((body->>'latitude'))::numeric) stored,
    longitude numeric generated always as (((body->>'longitude'))::numeric) stored,
    client_id uuid generated always as (((body->>'clientId'))::uuid) stored,
    region_id uuid generated always as (((body->>'regionId'))::uuid) stored
) with (fillfactor = 85);
create index stores_updated_at on stores (updated_at, id);
create index stores_created_at on stores (created_at, id);
create index stores_name on stores (name);
create index stores_catalogue on stores (catalogue);
create index stores_latitude_longitude on stores (latitude, longitude);
create index stores_client_id on stores (client_id) where client_id is not null;
create index stores_region_id on stores (region_id) where region_id is not null;

create table territories (
    id uuid primary key,
    external_id text collate "C" not null unique check (char_length(external_id) between 1 and 255),
    version integer not null check (version >= 1),
    operation text not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null check (updated_at >= created_at),
    deleted_at timestamptz(3),
    merged_into_id uuid,
    source_updated_at timestamptz(3),
    body jsonb not null check (jsonb_typeof(body) = 'object'),
    name text collate "C" generated always as (lower((body->>'name'))) stored
) with (fillfactor = 85);
create index territories_updated_at on territories (updated_at, id);
create index territories_created_at on territories (created_at, id);
create index territories_name on territories (name);

create table regions (
    id uuid primary key,
    external_id text collate "C" not null unique check (char_length(external_id) between 1 and 255),
    version integer not null check (version >= 1),
    operation text not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null check (updated_at >= created_at),
    deleted_at timestamptz(3),
    merged_into_id uuid,
    source_updated_at timestamptz(3),
    body jsonb not null check (jsonb_typeof(body) = 'object'),
    name text collate "C" generated always as (lower((body->>'name'))) stored,
    territory_id uuid generated always as (((body->>'territoryId'))::uuid) stored,
    parent_id uuid generated always as (((body->>'parentId'))::uuid) stored
) with (fillfactor = 85);
create index regions_updated_at on regions (updated_at, id);
create index regions_created_at on regions (created_at, id);
create index regions_name on regions (name);
create index regions_territory_id on regions (territory_id) where territory_id is not null;
create index regions_parent_id on regions (parent_id) where parent_id is not null;

create table departments (
    id uuid primary key,
    external_id text collate "C" not null unique check (char_length(external_id) between 1 and 255),
    version integer not null check (version >= 1),
    operation text not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null check (updated_at >= created_at),
    deleted_at timestamptz(3),
    merged_into_id uuid,
    source_updated_at timestamptz(3),
    body jsonb not null check (jsonb_typeof(body) = 'object'),
    name text collate "C" generated always as (lower((body->>'name'))) stored,
    store_id uuid generated always as (((body->>'storeId'))::uuid) stored,
    parent_id uuid generated always as (((body->>'parentId'))::uuid) stored
) with (fillfactor = 85);
create index departments_updated_at on departments (updated_at, id);
create index departments_created_at on departments (created_at, id);
create index departments_name on departments (name);
create index departments_store_id on departments (store_id) where store_id is not null;
create index departments_parent_id on departments (parent_id) where parent_id is not null;

create table clients (
    id uuid primary key,
    external_id text collate "C" not null unique check (char_length(external_id) between 1 and 255),
    version integer not null check (version >= 1),
    operation text not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null check (updated_at >= created_at),
    deleted_at timestamptz(3),
    merged_into_id uuid,
    source_updated_at timestamptz(3),
    body jsonb not null check (jsonb_typeof(body) = 'object'),
    name text collate "C" generated always as (lower((body->>'name'))) stored,
    code text collate "C" generated always as ((body->>'code')) stored
) with (fillfactor = 85);
create index clients_updated_at on clients (updated_at, id);
create index clients_created_at on clients (created_at, id);
create index clients_name on clients (name);
create unique index clients_code_unique on clients (code) where deleted_at is null;
