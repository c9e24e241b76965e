-- The tables of appointments, customer notes, interactions, tasks, promotions, loyalty accounts, consent events and
-- customer assignments, as declared, and what writing a customer's consents down needs.

create table appointments (
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
    store_id uuid generated always as (((body->>'storeId'))::uuid) stored,
    start_at text collate "C" generated always as ((body->>'startAt')) stored,
    user_id uuid generated always as (((body->>'userId'))::uuid) stored,
    customer_id uuid generated always as (((body->>'customerId'))::uuid) stored,
    order_id uuid generated always as (((body->>'orderId'))::uuid) stored,
    wishlist_id uuid generated always as (((body->>'wishlistId'))::uuid) stored,
    constraint appointments_end_at_after_start_at check ((body->>'endAt') collate "C" > (body->>'startAt') and (body->>'endAt')::timestamptz - (body->>'startAt')::timestamptz <= interval '24 hours')
) with (fillfactor = 85);
create index appointments_updated_at on appointments (updated_at, id);
create index appointments_created_at on appointments (created_at, id);
create index appointments_store_id_start_at on appointments (store_id, start_at);
create index appointments_user_id_start_at on appointments (user_id, start_at);
create index appointments_customer_id on appointments (customer_id) where customer_id is not null;
create index appointments_order_id on appointments (order_id) where order_id is not null;
create index appointments_wishlist_id on appointments (wishlist_id) where wishlist_id is not null;

create table customer_notes (
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
    customer_id uuid generated always as (((body->>'customerId'))::uuid) stored,
    occurred_at text collate "C" generated always as ((body->>'occurredAt')) stored,
    user_id uuid generated always as (((body->>'userId'))::uuid) stored,
    store_id uuid generated always as (((body->>'storeId'))::uuid) stored
) with (fillfactor = 85);
create index customer_notes_updated_at on customer_notes (updated_at, id);
create index customer_notes_created_at on customer_notes (created_at, id);
create index customer_notes_customer_id_occurred_at on customer_notes (customer_id, occurred_at);
create index customer_notes_user_id on customer_notes (user_id) where user_id is not null;
create index customer_notes_store_id on customer_notes (store_id) where store_id is not null;

create table interactions (
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
    customer_id uuid generated always as (((body->>'customerId'))::uuid) stored,
    occurred_at text collate "C" generated always as ((body->>'occurredAt')) stored,
    user_id uuid generated always as (((body->>'userId'))::uuid) stored,
    store_id uuid generated always as (((body->>'storeId'))::uuid) stored,
    order_id uuid generated always as (((body->>'orderId'))::uuid) stored,
    appointment_id uuid generated always as (((body->>'appointmentId'))::uuid) stored
) with (fillfactor = 85);
create index interactions_updated_at on interactions (updated_at, id);
create index interactions_created_at on interactions (created_at, id);
create index interactions_customer_id_occurred_at on interactions (customer_id, occurred_at);
create index interactions_user_id on interactions (user_id) where user_id is not null;
create index interactions_store_id on interactions (store_id) where store_id is not null;
create index interactions_order_id on interactions (order_id) where order_id is not null;
create index interactions_appointment_id on interactions (appointment_id) where appointment_id is not null;

create table tasks (
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
    store_id uuid generated always as (((body->>'storeId'))::uuid) stored,
    due_at text collate "C" generated always as ((body->>'dueAt')) stored,
    assigned_to_id uuid generated always as (((body->>'assignedToId'))::uuid) stored,
    department_id uuid generated always as (((body->>'departmentId'))::uuid) stored,
    customer_id uuid generated always as (((body->>'customerId'))::uuid) stored,
    order_id uuid generated always as (((body->>'orderId'))::uuid) stored,
    appointment_id uuid generated always as (((body->>'appointmentId'))::uuid) stored
) with (fillfactor = 85);
create index tasks_updated_at on tasks (updated_at, id);
create index tasks_created_at on tasks (created_at, id);
create index tasks_store_id_due_at on tasks (store_id, due_at);
create index tasks_assigned_to_id on tasks (assigned_to_id) where assigned_to_id is not null;
create index tasks_department_id on tasks (department_id) where department_id is not null;
create index tasks_customer_id on tasks (customer_id) where customer_id is not null;
create index tasks_order_id on tasks (order_id) where order_id is not null;
create index tasks_appointment_id on tasks (appointment_id) where appointment_id is not null;

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
    body jsonb not null check (jsonb_typeof(body) = 'object'),
    name text collate "C" generated always as (lower((body->>'name'))) stored,
    code text collate "C" generated always as ((body->>'code')) stored,
    constraint promotions_valid_until_after_valid_from check ((body->>'validUntil') collate "C" > (body->>'validFrom'))
) with (fillfactor = 85);
create index promotions_updated_at on promotions (updated_at, id);
create index promotions_created_at on promotions (created_at, id);
create index promotions_name on promotions (name);
create index promotions_code on promotions (code);
create index promotions_store_ids on promotions using gin ((body->'storeIds'));

create table loyalty_accounts (
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
    member_number text collate "C" generated always as ((body->>'memberNumber')) stored,
    customer_id uuid generated always as (((body->>'customerId'))::uuid) stored
) with (fillfactor = 85);
create index loyalty_accounts_updated_at on loyalty_accounts (updated_at, id);
create index loyalty_accounts_created_at on loyalty_accounts (created_at, id);
create index loyalty_accounts_member_number on loyalty_accounts (member_number);
create index loyalty_accounts_customer_id on loyalty_accounts (customer_id) where customer_id is not null;

create table consent_events (
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
    customer_id uuid generated always as (((body->>'customerId'))::uuid) stored,
    occurred_at text collate "C" generated always as ((body->>'occurredAt')) stored,
    store_id uuid generated always as (((body->>'storeId'))::uuid) stored,
    user_id uuid generated always as (((body->>'userId'))::uuid) stored
) with (fillfactor = 85);
create index consent_events_updated_at on consent_events (updated_at, id);
create index consent_events_created_at on consent_events (created_at, id);
create index consent_events_customer_id_occurred_at on consent_events (customer_id, occurred_at);
create index consent_events_store_id on consent_events (store_id) where store_id is not null;
create index consent_events_user_id on consent_events (user_id) where user_id is not null;

create table customer_assignments (
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
    customer_id uuid generated always as (((body->>'customerId'))::uuid) stored,
    user_id uuid generated always as (((body->>'userId'))::uuid) stored,
    store_id uuid generated always as (((body->>'storeId'))::uuid) stored,
    role text collate "C" generated always as (coalesce((body->>'role'), 'secondary')) stored
) with (fillfactor = 85);
create index customer_assignments_updated_at on customer_assignments (updated_at, id);
create index customer_assignments_created_at on customer_assignments (created_at, id);
create unique index customer_assignments_customer_id_user_id_unique on customer_assignments (customer_id, user_id) nulls not distinct where deleted_at is null;
create unique index customer_assignments_customer_id_primary_unique on customer_assignments (customer_id) nulls not distinct where deleted_at is null and role = 'primary';
create index customer_assignments_customer_id on customer_assignments (customer_id) where customer_id is not null;
create index customer_assignments_user_id on customer_assignments (user_id) where user_id is not null;
create index customer_assignments_store_id on customer_assignments (store_id) where store_id is not null;

alter table customers add column flipped jsonb;

-- Ids of version 7 (RFC 9562) sort by the time they were made: 48 bits of milliseconds, then chance.
create function uuid_v7() returns uuid language sql volatile as $$
    select encode(
        set_bit(set_bit(
            overlay(
                uuid_send(gen_random_uuid())
                placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6
            ), 52, 1), 53, 1), 'hex')::uuid
$$;
