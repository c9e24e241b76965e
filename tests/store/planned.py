"""A database of a realistic size, and the plans that PostgreSQL makes there."""

import json
from collections.abc import Iterator
from typing import Any

from retailos.database.pool import Connection

RECORDS, OWED, VARIANTS, ORDERS = 50_000, 5_000, 10_000, 2_000

#: Fifty thousand customers, three webhooks with all of them in their registers, a tenth of that due, and attempts.
FILL = f"""
insert into customers (id, external_id, version, operation, created_at, updated_at, body)
select gen_random_uuid(), 'c-' || i, 1, 'create', now() - i * interval '1 s', now() - i * interval '1 s',
    jsonb_build_object('firstName', 'Ada' || i % 997, 'lastName', 'Lovelace' || i % 1999, 'email', i || '@example.com',
        'telephone', '+44 ' || i, 'dob', to_char(date '1950-01-01' + i % 9000, 'DD/MM/YYYY'), 'details', '{{}}'::jsonb,
        'registeredAtId', md5((i % 500)::text)::uuid, 'territoryId', md5((i % 500)::text)::uuid,
        'registeredById', md5((i % 500)::text)::uuid, 'regionId', md5((i % 500)::text)::uuid)
from generate_series(1, {RECORDS}) as i;
insert into webhook (name, resource, settings, active, created_at, updated_at)
select 'w' || i, 'customer', '{{"url": "u"}}', true, now(), now()
from generate_series(1, 3) as i;
insert into delivery (webhook_id, record_id, wanted, acknowledged, status)
select webhook.id, customers.id, 1, 1, 'delivered' from webhook, customers;
update delivery set status = 'owed', wanted = 2
where record_id in (select id from customers order by id limit {OWED});
insert into due (webhook_id, record_id, due_at)
select webhook_id, record_id, now() - random() * interval '1 h' from delivery where status = 'owed';
insert into attempt (webhook_id, record_id, version, number, at, request_id, url, status, milliseconds)
select 1, id, 1, 1, now() - random() * interval '1 h', gen_random_uuid(), 'u', 200, 1 from customers;
insert into alias (resource, external_id, record_id)
select 'customer', 'old-' || external_id, id from customers order by id limit 5000;
insert into tally values ('customer', {RECORDS});
insert into job (id, queue_name, status, created_at) select gen_random_uuid(), 'q', 's', now() from customers;
insert into change (resource, record_id, version, operation, at)
select 'customer', id, 1, 'create', now() from customers;
insert into parked
    (job_id, resource, external_id, record_id, create_only, body, wants, pointer, position, parked_at, failed_at)
select id, 'customer', 'p-' || external_id, id, false, '{{}}', '[]', '', 0, now(), case when i % 2 = 0 then now() end
from (select *, row_number() over () as i from customers limit {OWED}) as given;
insert into awaited (resource, external_id, job_id, pointer) select 'store', 's-' || i % 500, job_id, '/registeredAt'
from (select *, row_number() over () as i from parked) as given;
analyze;
"""


#: A client book for each customer.
FILL_ASSIGNMENTS = f"""
insert into customer_assignments (id, external_id, version, operation, created_at, updated_at, body)
select gen_random_uuid(), 'a-' || i, 1, 'create', now(), now(), jsonb_build_object(
    'customerId', md5(i::text)::uuid, 'userId', md5((i % 500)::text)::uuid)
from generate_series(1, {RECORDS}) as i;
analyze customer_assignments;
"""

#: Variants, each with a price and some stock, and orders of them.
FILL_CATALOGUE = f"""
insert into variants (id, external_id, version, operation, created_at, updated_at, body)
select md5('v' || i)::uuid, 'v-' || i, 1, 'create', now(), now(), jsonb_build_object(
    'productId', md5((i / 4)::text)::uuid, 'sku', 'sku-' || i, 'barcodes', jsonb_build_array('b-' || i, 'c-' || i))
from generate_series(1, {VARIANTS}) as i;
insert into stores (id, external_id, version, operation, created_at, updated_at, body)
select md5('s' || i)::uuid, 's-' || i, 1, 'create', now(), now(), jsonb_build_object('name', 'S')
from generate_series(1, 200) as i;
insert into prices (id, external_id, version, operation, created_at, updated_at, body)
select gen_random_uuid(), 'p-' || i, 1, 'create', now(), now(), jsonb_build_object(
    'variantId', md5('v' || i)::uuid, 'currency', 'GBP', 'amount', i || '.00')
from generate_series(1, {VARIANTS}) as i;
insert into stock_levels (id, external_id, version, operation, created_at, updated_at, body)
select gen_random_uuid(), 'l-' || i, 1, 'create', now(), now(), jsonb_build_object(
    'variantId', md5('v' || i)::uuid, 'storeId', md5('s' || i % 200)::uuid, 'onHand', i % 50)
from generate_series(1, {VARIANTS}) as i;
insert into categories (id, external_id, version, operation, created_at, updated_at, body)
select md5('k' || i)::uuid, 'k-' || i, 1, 'create', now(), now(), jsonb_build_object(
    'name', 'K', 'parentId', case when i > 5 then md5('k' || i / 5)::uuid end)
from generate_series(1, 2000) as i;
insert into orders (id, external_id, version, operation, created_at, updated_at, body)
select gen_random_uuid(), 'o-' || i, 1, 'create', now(), now(), jsonb_build_object(
    'placedAt', to_char(timestamp '2026-01-01' + i * interval '1 minute', 'YYYY-MM-DD"T"HH24:MI:SS".000Z"'),
    'total', '10.00', 'orderNumber', 'n-' || i, 'customerEmail', i || '@example.com',
    'customerId', md5((i % 500)::text)::uuid, 'storeId', md5((i % 50)::text)::uuid,
    'lines', jsonb_build_array(jsonb_build_object('externalOrderLineId', '1', 'sku', 's-' || i, 'quantity', 1,
        'variantId', md5('v' || i)::uuid)))
from generate_series(1, {ORDERS}) as i;
analyze;
"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node of a plan."""
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


async def planned(
    connection: Connection, statement: str, *arguments: Any, generic: bool = True
) -> list[dict[str, Any]]:
    """The nodes of the plan for these arguments; neither that nor the one for any arguments may scan a large table."""
    large = {row[0] for row in await connection.fetch("select relname from pg_class where reltuples > 1000")}
    ways = ("format json", "format json, generic_plan")[: 1 + generic]
    texts = [await connection.fetchval(f"explain ({way}) {statement}", *arguments) for way in ways]
    plans = [list(nodes(json.loads(text)[0]["Plan"])) for text in texts]
    for plan in plans:
        whole = {each["Relation Name"] for each in plan if each["Node Type"] == "Seq Scan"}
        assert not whole & large, f"{whole & large}: read from end to end by {statement}"
    return plans[0]


def used(plan: list[dict[str, Any]]) -> set[str]:
    """The indexes that a plan looks into."""
    return {each["Index Name"] for each in plan if "Index Name" in each}
