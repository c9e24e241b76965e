-- name: find
-- The price of a variant ($1) in a store ($2, or null: no price of a place) at a moment ($3, as text in UTC), in a
-- currency ($4, or null: the store's if it has one), of a price list ($5), for so many ($6). A region's price holds in
-- the regions below it too, and the nearest comes first.
with recursive above as (
    select regions.id, regions.parent_id, regions.territory_id, 1 as level
    from stores join regions on regions.id = stores.region_id where stores.id = $2::uuid
    union all
    select up.id, up.parent_id, up.territory_id, level + 1
    from above join regions as up on up.id = above.parent_id where level < 10
),
asked as (
    select
        coalesce($4::text, (select body->>'currency' from stores where id = $2::uuid)) as currency,
        (select territory_id from above where territory_id is not null order by level limit 1) as territory_id
)
select prices.id
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
order by
    prices.store_id is null, prices.region_id is null, above.level, prices.territory_id is null,
    prices.type = 'regular', prices.min_quantity desc, prices.valid_from desc nulls last, prices.id
limit 1;
