-- The tables of orders, baskets and wishlists, as declared; what an order derives; and the warnings of a job.

alter table job add column warnings jsonb;

create or replace view any_job as
select id, queue_name, status, outcome, external_id, record_id, version, created_at, completed_at, batch_id, error,
    position, warnings
from job
union all
select job_id, queue_name, 'queued', null, external_id, null, null, accepted_at, null, batch_id, null, position, null
from queued;

-- What became of each line of an order, once there are fulfilments or returns. Goods alone are fulfilled: services,
-- shipping and fees are not. A fulfilment or a return that names no lines is of all goods; a fulfilment without a status
-- is one that the customer carried out, or it is pending; a return without one is completed.
create function order_line_quantities(body jsonb) returns table (
    key text, goods boolean, ordered numeric, ready_quantity numeric, fulfilled_quantity numeric,
    delivered_quantity numeric, returned_quantity numeric, cancelled_quantity numeric
) language sql immutable parallel safe begin atomic
    with given as (
        select item->>'externalOrderLineId' as key, (item->>'quantity')::numeric as quantity,
            coalesce(item->>'type', 'product') in ('product', 'giftCard') as goods
        from jsonb_array_elements(body->'lines') as item
        where body ?| array['fulfilments', 'returns']
    ),
    part as (
        select item->'lines' as lines,
            coalesce(item->>'status', case item->>'type' when 'carryOut' then 'collected' else 'pending' end) as status
        from jsonb_array_elements(body->'fulfilments') as item
        union all
        select item->'lines', 'returned' from jsonb_array_elements(body->'returns') as item
        where coalesce(item->>'status', 'completed') not in ('requested', 'rejected')
    ),
    moved as (
        select part.status, item->>'externalOrderLineId' as key, (item->>'quantity')::numeric as quantity
        from part cross join jsonb_array_elements(part.lines) as item
        union all
        select part.status, given.key, given.quantity from part cross join given where part.lines is null and given.goods
    ),
    summed as (
        select key,
            sum(quantity) filter (where status = 'readyToCollect') as ready,
            sum(quantity) filter (where status in ('shipped', 'delivered', 'collected')) as fulfilled,
            sum(quantity) filter (where status in ('delivered', 'collected')) as delivered,
            sum(quantity) filter (where status = 'returned') as returned,
            sum(quantity) filter (where status = 'cancelled') as cancelled
        from moved group by key
    )
    -- More than was ordered of one line makes up for no other.
    select given.key, goods, quantity, least(coalesce(ready, 0), quantity), least(coalesce(fulfilled, 0), quantity),
        least(coalesce(delivered, 0), quantity), least(coalesce(returned, 0), quantity),
        least(coalesce(cancelled, 0), quantity)
    from given left join summed on summed.key = given.key;
end;

-- How far an order has come, where its source does not say.
create function order_fulfilment_status(body jsonb) returns text language sql immutable parallel safe
return (
    select case
        when sum(returned_quantity) > 0 and sum(returned_quantity) >= sum(ordered - cancelled_quantity) then 'returned'
        when sum(returned_quantity) > 0 then 'partiallyReturned'
        when sum(delivered_quantity) > 0 and sum(delivered_quantity) >= sum(ordered - cancelled_quantity) then 'delivered'
        when sum(fulfilled_quantity) > 0 and sum(fulfilled_quantity) >= sum(ordered - cancelled_quantity) then 'fulfilled'
        when sum(fulfilled_quantity) > 0 then 'partial'
        when sum(ready_quantity) > 0 and sum(ready_quantity) >= sum(ordered - cancelled_quantity) then 'readyToCollect'
        else 'unfulfilled'
    end
    from order_line_quantities(body) where goods
);

-- How far an order is paid, where its source does not say. A payment without a status is one that was made.
create function order_payment_status(body jsonb) returns text language sql immutable parallel safe
return (
    with payment as (
        select (item->>'amount')::numeric as amount, coalesce(item->>'status', 'captured') as status
        from jsonb_array_elements(body->'payments') as item
    ),
    paid as (
        select coalesce(sum(amount) filter (where status in ('captured', 'refunded')), 0) as captured,
            coalesce(sum(amount) filter (where status = 'refunded'), 0) as refunded,
            bool_or(status = 'authorised') as authorised,
            bool_and(status = 'failed') as failed
        from payment
    ),
    refund as (
        select coalesce(sum((item->>'amount')::numeric), 0) as refunded
        from jsonb_array_elements(body->'refunds') as item
    )
    select case
        when greatest(refund.refunded, paid.refunded) > 0 and greatest(refund.refunded, paid.refunded) >= captured
            then 'refunded'
        when greatest(refund.refunded, paid.refunded) > 0 then 'partiallyRefunded'
        when captured >= (body->>'total')::numeric then 'paid'
        when captured > 0 then 'partiallyPaid'
        when authorised then 'authorised'
        when failed then 'failed'
        else 'unpaid'
    end
    from paid cross join refund
);

create table orders (
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
    placed_at text collate "C" generated always as ((body->>'placedAt')) stored,
    order_number text collate "C" generated always as (lower((body->>'orderNumber'))) stored,
    status text collate "C" generated always as (coalesce((body->>'status'), 'confirmed')) stored,
    customer_email text collate "C" generated always as (lower((body->>'customerEmail'))) stored,
    customer_id uuid generated always as (((body->>'customerId'))::uuid) stored,
    store_id uuid generated always as (((body->>'storeId'))::uuid) stored,
    sold_by_id uuid generated always as (((body->>'soldById'))::uuid) stored,
    territory_id uuid generated always as (((body->>'territoryId'))::uuid) stored,
    client_id uuid generated always as (((body->>'clientId'))::uuid) stored,
    basket_id uuid generated always as (((body->>'basketId'))::uuid) stored,
    appointment_id uuid generated always as (((body->>'appointmentId'))::uuid) stored,
    original_order_id uuid generated always as (((body->>'originalOrderId'))::uuid) stored,
    payment_status text collate "C" generated always as (coalesce((body->>'paymentStatus'), order_payment_status(body))) stored,
    fulfilment_status text collate "C" generated always as (coalesce((body->>'fulfilmentStatus'), order_fulfilment_status(body))) stored
) with (fillfactor = 85);
create index orders_updated_at on orders (updated_at, id);
create index orders_created_at on orders (created_at, id);
create index orders_placed_at on orders (placed_at);
create index orders_order_number on orders (order_number);
create index orders_status on orders (status);
create index orders_customer_email on orders (customer_email);
create index orders_customer_id_placed_at on orders (customer_id, placed_at);
create index orders_store_id_placed_at on orders (store_id, placed_at);
create index orders_sold_by_id_placed_at on orders (sold_by_id, placed_at);
create index orders_lines_sku on orders using gin (jsonb_path_query_array(body, '$.lines[*].sku'));
create index orders_territory_id on orders (territory_id) where territory_id is not null;
create index orders_client_id on orders (client_id) where client_id is not null;
create index orders_basket_id on orders (basket_id) where basket_id is not null;
create index orders_appointment_id on orders (appointment_id) where appointment_id is not null;
create index orders_original_order_id on orders (original_order_id) where original_order_id is not null;

create table baskets (
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
    status text collate "C" generated always as (coalesce((body->>'status'), 'open')) stored,
    customer_id uuid generated always as (((body->>'customerId'))::uuid) stored,
    store_id uuid generated always as (((body->>'storeId'))::uuid) stored,
    order_id uuid generated always as (((body->>'orderId'))::uuid) stored
) with (fillfactor = 85);
create index baskets_updated_at on baskets (updated_at, id);
create index baskets_created_at on baskets (created_at, id);
create index baskets_status on baskets (status);
create index baskets_customer_id on baskets (customer_id) where customer_id is not null;
create index baskets_store_id on baskets (store_id) where store_id is not null;
create index baskets_order_id on baskets (order_id) where order_id is not null;

create table wishlists (
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
    store_id uuid generated always as (((body->>'storeId'))::uuid) stored
) with (fillfactor = 85);
create index wishlists_updated_at on wishlists (updated_at, id);
create index wishlists_created_at on wishlists (created_at, id);
create index wishlists_customer_id on wishlists (customer_id) where customer_id is not null;
create index wishlists_store_id on wishlists (store_id) where store_id is not null;
