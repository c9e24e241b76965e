-- How far an order is paid, where its source does not say: by the payments in its own currency, less what was refunded of
-- them. A payment without a currency has the order's; one in another pays nothing of the order, and neither does a refund
-- of it take anything back. A payment without a status is one that was made.
create or replace function order_payment_status(body jsonb) returns text language sql immutable parallel safe
return (
    with every as (
        select item->>'externalPaymentId' as key, (item->>'amount')::numeric as amount,
            coalesce(item->>'status', 'captured') as status,
            coalesce(item->>'currency', body->>'currency') is not distinct from body->>'currency' as counts
        from jsonb_array_elements(body->'payments') as item
    ),
    paid as (
        select coalesce(sum(amount) filter (where status in ('captured', 'refunded')), 0) as captured,
            coalesce(sum(amount) filter (where status = 'refunded'), 0) as refunded,
            bool_or(status = 'authorised') as authorised,
            bool_and(status = 'failed') as failed
        from every where counts
    ),
    refund as (
        select coalesce(sum((item->>'amount')::numeric), 0) as refunded
        from jsonb_array_elements(body->'refunds') as item
        where not exists (select from every where not counts and key = item->>'externalPaymentId')
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

-- What the function says is kept in a column of each order, so those that it may say otherwise of are written again. A
-- payment's currency that is the order's is not kept any more, since that is what is shown without it. Nothing else of a
-- record changes, so this is no change of it; and one that names what it does not have stays as it is.
alter table orders disable trigger user;
update orders set body = jsonb_set(body, '{payments}', (
    select jsonb_agg(
        case when item->>'currency' = body->>'currency' then item - 'currency' else item end order by i
    )
    from jsonb_array_elements(body->'payments') with ordinality as payment(item, i)
))
where body->'payments' @? '$[*].currency';
alter table orders enable trigger user;
