-- name: find
-- The price of a variant ($1) in a store ($2, or null: no price of a place) at a moment ($3, as text in UTC), in a
-- currency ($4, or null: the store's, or its territory's, or any), of a price list ($5), for so many ($6), and the
-- currencies of all that hold. A region's price holds in the regions below it too, and the nearest comes first.
with recursive above as (
    select regions.id, regions.parent_id, regions.territory_id, 1 as level
    from stores join regions on regions.id = stores.region_id where stores.id = $2::uuid
    union all
    select up.id, up.parent_id, up.territory_id, level + 1
    from above join regions as up on up.id = above.parent_id where level < 10
),
place as (
    select (select territory_id from above where territory_id is not null order by level limit 1) as territory_id
),
asked as (
    select
        place.territory_id,
        coalesce(
            $4::text,
            (select body->>'currency' from stores where id = $2::uuid),
            (select body->>'currency' from territories where territories.id = place.territory_id)
        ) as currency
    from place
),
holding as materialized (
    select prices.*, above.level
    from prices cross join asked left join above on above.id = prices.region_id
    where prices.deleted_at is null
        and prices.variant_id = $1::uuid
        and (asked.currency is null or prices.currency = asked.currency)
        and prices.price_list = $5::text
        and prices.min_quantity <= $6::bigint
        and coalesce(prices.valid_from <= $3::text, true)
        and coalesce((prices.body->>'validUntil') collate "C" > $3::text, true)
        and (prices.store_id is null or prices.store_id = $2::uuid)
        and (prices.region_id is null or above.id is not null)
        and (prices.territory_id is null or prices.territory_id = asked.territory_id)
)
select id, array(select distinct currency from holding order by currency) as currencies
from holding
order by
    store_id is null, region_id is null, level, territory_id is null,
    type = 'regular', min_quantity desc, valid_from desc nulls last, id
limit 1;
