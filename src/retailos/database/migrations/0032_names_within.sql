-- What an item of one array of a record names is an item of another array of it, in every record that is stored: lines
-- by fulfilments, returns and discounts, payments and returns by refunds. A constraint can't keep this: an insert that
-- ends as an update checks them of what was sent alone, before that is merged with what is stored.

-- Refuses a row that names what it does not have: the paths of the names and of what may be named are the arguments. One
-- that was like that before there was this rule stays as it is, until one of the two arrays is written otherwise.
create function refuse_strangers() returns trigger language plpgsql as $$
declare
    naming text = split_part(tg_argv[0], '.', 1);
    named text = split_part(tg_argv[1], '.', 1);
begin
    if tg_op = 'UPDATE' then
        if (old.body->naming, old.body->named) is not distinct from (new.body->naming, new.body->named) then
            return null;
        end if;
    end if;
    raise exception using
        errcode = 'check_violation',
        constraint = tg_name,
        table = tg_table_name,
        message = format('names at %s that are not at %s', tg_argv[0], tg_argv[1]),
        -- As many as anybody is told of.
        detail = (
            select jsonb_agg(name) from (
                select name from jsonb_path_query(new.body, ('$.' || tg_argv[0])::jsonpath) as name
                except
                select key from jsonb_path_query(new.body, ('$.' || tg_argv[1])::jsonpath) as key
                limit 100
            ) as stranger
        );
end $$;

create trigger orders_discounts_external_order_line_id_in_lines after insert or update of body on orders
    for each row when (not jsonb_path_query_array(new.body, '$.discounts[*].externalOrderLineId') <@ jsonb_path_query_array(new.body, '$.lines[*].externalOrderLineId'))
    execute function refuse_strangers('discounts.externalOrderLineId', 'lines.externalOrderLineId');
create trigger orders_fulfilments_lines_external_order_line_id_in_lines after insert or update of body on orders
    for each row when (not jsonb_path_query_array(new.body, '$.fulfilments[*].lines.externalOrderLineId') <@ jsonb_path_query_array(new.body, '$.lines[*].externalOrderLineId'))
    execute function refuse_strangers('fulfilments.lines.externalOrderLineId', 'lines.externalOrderLineId');
create trigger orders_returns_lines_external_order_line_id_in_lines after insert or update of body on orders
    for each row when (not jsonb_path_query_array(new.body, '$.returns[*].lines.externalOrderLineId') <@ jsonb_path_query_array(new.body, '$.lines[*].externalOrderLineId'))
    execute function refuse_strangers('returns.lines.externalOrderLineId', 'lines.externalOrderLineId');
create trigger orders_refunds_external_return_id_in_returns after insert or update of body on orders
    for each row when (not jsonb_path_query_array(new.body, '$.refunds[*].externalReturnId') <@ jsonb_path_query_array(new.body, '$.returns[*].externalReturnId'))
    execute function refuse_strangers('refunds.externalReturnId', 'returns.externalReturnId');
create trigger orders_refunds_external_payment_id_in_payments after insert or update of body on orders
    for each row when (not jsonb_path_query_array(new.body, '$.refunds[*].externalPaymentId') <@ jsonb_path_query_array(new.body, '$.payments[*].externalPaymentId'))
    execute function refuse_strangers('refunds.externalPaymentId', 'payments.externalPaymentId');
create trigger baskets_discounts_external_basket_line_id_in_lines after insert or update of body on baskets
    for each row when (not jsonb_path_query_array(new.body, '$.discounts[*].externalBasketLineId') <@ jsonb_path_query_array(new.body, '$.lines[*].externalBasketLineId'))
    execute function refuse_strangers('discounts.externalBasketLineId', 'lines.externalBasketLineId');
