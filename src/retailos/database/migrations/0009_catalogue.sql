-- The tables of products, variants, categories, prices and stock levels, as declared.

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
    body jsonb not null check (jsonb_typeof(body) = 'object'),
    name text collate "C" generated always as (lower((body->>'name'))) stored,
    status text collate "C" generated always as (coalesce((body->>'status'), 'active')) stored,
    client_id uuid generated always as (((body->>'clientId'))::uuid) stored
) with (fillfactor = 85);
create index products_updated_at on products (updated_at, id);
create index products_created_at on products (created_at, id);
create index products_name on products (name);
create index products_status on products (status);
create index products_catalogues on products using gin ((body->'catalogues'));
create index products_tags on products using gin ((body->'tags'));
create index products_category_ids on products using gin ((body->'categoryIds'));
create index products_client_id on products (client_id) where client_id is not null;

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
    body jsonb not null check (jsonb_typeof(body) = 'object'),
    sku text collate "C" generated always as (coalesce((body->>'sku'), external_id)) stored,
    gtin text collate "C" generated always as ((body->>'gtin')) stored,
    product_id uuid generated always as (((body->>'productId'))::uuid) stored,
    client_id uuid generated always as (((body->>'clientId'))::uuid) stored
) with (fillfactor = 85);
create index variants_updated_at on variants (updated_at, id);
create index variants_created_at on variants (created_at, id);
create index variants_sku on variants (sku);
create index variants_gtin on variants (gtin);
create unique index variants_client_id_sku_unique on variants (client_id, sku) nulls not distinct where deleted_at is null;
create index variants_barcodes on variants using gin ((body->'barcodes'));
create index variants_product_id on variants (product_id) where product_id is not null;
create index variants_client_id on variants (client_id) where client_id is not null;

create table categories (
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
    parent_id uuid generated always as (((body->>'parentId'))::uuid) stored
) with (fillfactor = 85);
create index categories_updated_at on categories (updated_at, id);
create index categories_created_at on categories (created_at, id);
create index categories_name on categories (name);
create index categories_catalogue on categories (catalogue);
create index categories_parent_id on categories (parent_id) where parent_id is not null;

create table prices (
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
    amount numeric(16,4) generated always as (((body->>'amount'))::numeric(16,4)) stored,
    variant_id uuid generated always as (((body->>'variantId'))::uuid) stored,
    store_id uuid generated always as (((body->>'storeId'))::uuid) stored,
    region_id uuid generated always as (((body->>'regionId'))::uuid) stored,
    territory_id uuid generated always as (((body->>'territoryId'))::uuid) stored,
    currency text collate "C" generated always as ((body->>'currency')) stored,
    price_list text collate "C" generated always as (coalesce((body->>'priceList'), 'default')) stored,
    min_quantity numeric generated always as (coalesce(((body->>'minQuantity'))::numeric, ('1')::numeric)) stored,
    type text collate "C" generated always as (coalesce((body->>'type'), 'regular')) stored,
    valid_from text collate "C" generated always as ((body->>'validFrom')) stored,
    constraint prices_at_most_one_of_store_id_region_id_territory_id check (num_nonnulls((body->>'storeId'), (body->>'regionId'), (body->>'territoryId')) <= 1),
    constraint prices_valid_until_after_valid_from check ((body->>'validUntil') collate "C" > (body->>'validFrom'))
) with (fillfactor = 85);
create index prices_updated_at on prices (updated_at, id);
create index prices_created_at on prices (created_at, id);
create index prices_amount on prices (amount);
create unique index prices_variant_id_currency_store_id_region_id_territory__unique on prices (variant_id, currency, store_id, region_id, territory_id, price_list, min_quantity, type, valid_from) nulls not distinct where deleted_at is null;
create index prices_variant_id on prices (variant_id) where variant_id is not null;
create index prices_store_id on prices (store_id) where store_id is not null;
create index prices_region_id on prices (region_id) where region_id is not null;
create index prices_territory_id on prices (territory_id) where territory_id is not null;

create table stock_levels (
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
    available numeric generated always as (coalesce(((body->>'available'))::numeric, ((body->>'onHand'))::numeric - coalesce(((body->>'reserved'))::numeric, ('0')::numeric) - coalesce(((body->>'safetyStock'))::numeric, ('0')::numeric))) stored,
    variant_id uuid generated always as (((body->>'variantId'))::uuid) stored,
    store_id uuid generated always as (((body->>'storeId'))::uuid) stored
) with (fillfactor = 85);
create index stock_levels_updated_at on stock_levels (updated_at, id);
create index stock_levels_created_at on stock_levels (created_at, id);
create index stock_levels_available on stock_levels (available);
create unique index stock_levels_variant_id_store_id_unique on stock_levels (variant_id, store_id) nulls not distinct where deleted_at is null;
create index stock_levels_variant_id on stock_levels (variant_id) where variant_id is not null;
create index stock_levels_store_id on stock_levels (store_id) where store_id is not null;
