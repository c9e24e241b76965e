"""At a realistic size every hot statement finds what it needs in an index, with a plan for any arguments."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from retailos.catalogue import prices
from retailos.database.pool import Connection
from retailos.database.statements import load
from retailos.deliveries import deliveries, lately, register
from retailos.keys import store
from retailos.records import (
    alike_sql,
    circles,
    merge_sql,
    named_sql,
    page,
    parked,
    query,
    referring_sql,
    repoint_sql,
    sql,
)
from retailos.records.query import Filter
from retailos.records.told_sql import Wanted, by_claim, reading
from retailos.resources import RESOURCES
from retailos.stints import requeue
from tests.store.planned import FILL, FILL_ASSIGNMENTS, FILL_CATALOGUE, RECORDS, nodes, planned, used

CUSTOMER, STORE = RESOURCES["customer"], RESOURCES["store"]
REGISTER, DELIVERIES, KEYS = load(register.__file__), load(deliveries.__file__), load(store.__file__)
PARKED, CIRCLES = load(parked.__file__), load(circles.__file__)
REQUEUE, LATELY = load(requeue.__file__), load(lately.__file__)
SOMEBODY = UUID(int=77)


@pytest.fixture(scope="module")
async def catalogue(filled: Connection) -> Connection:
    """The same with a catalogue and orders."""
    await filled.execute(FILL_CATALOGUE)
    return filled


@pytest.fixture(scope="module")
async def filled(shared: Connection) -> Connection:
    """A connection to a database of a realistic size."""
    await shared.execute(FILL)
    await shared.execute("set jit = off")
    return shared


def listed(text: str, resource: Any = CUSTOMER) -> tuple[str, list[Any]]:
    """A list's statement and its arguments."""
    return page.page(RESOURCES, resource, query.read(RESOURCES, resource, text.encode()))


async def test_a_claim_takes_the_oldest_by_the_index(filled: Connection) -> None:
    """A claim reads what is due in its order and the registers by their key; it scans and sorts nothing."""
    worker = await filled.fetchval(register._ENLIST, "w", 60.0)
    plan = await planned(filled, REGISTER.claim, 1, 200, uuid4(), worker)
    assert {"due_webhook_id_due_at", "delivery_pkey", "worker_pkey"} <= used(plan)
    assert "Sort" not in {each["Node Type"] for each in plan}


async def test_what_is_due_next_is_found_by_the_index(filled: Connection) -> None:
    """To know when to look again costs one look into an index per webhook."""
    plan = await planned(filled, REGISTER.next_due)
    assert "due_webhook_id_due_at" in used(plan)


@pytest.mark.parametrize("name", ["settle", "release", "dismiss"])
async def test_settling_finds_registers_by_their_key(filled: Connection, name: str) -> None:
    """A settlement of any size reads only the registers that it settles."""
    one: dict[str, list[Any]] = {
        "settle": [
            *(90.0, True, True, [SOMEBODY], [1], [0.0], [1], [1]),
            *([SOMEBODY], ["delivered"], [True], [None], [False], [None], [1], [False], [None], [200], [None], [False]),
            *([SOMEBODY], ["u"], [1.0], [None], [b""], [0.1], None, True),
        ],
        "release": [[SOMEBODY], [SOMEBODY], [False], [None]],
        "dismiss": [None, 100],
    }
    plan = await planned(filled, getattr(REGISTER, name), 1, *one[name])
    assert "delivery_pkey" in used(plan)


async def test_a_look_up_by_external_id_finds_it_by_the_index(filled: Connection) -> None:
    """A record is found by its external id, its former ones and its id without reading any other."""
    show = query.read(RESOURCES, CUSTOMER, b"").show
    for statement, argument, expected in (
        (page.by_external_id(RESOURCES, CUSTOMER, show), ["c-77"], {"customers_external_id_key", "alias_pkey"}),
        (page.by_id(RESOURCES, CUSTOMER, CUSTOMER.shown), [SOMEBODY], {"customers_pkey"}),
        (page.by_ids(RESOURCES, CUSTOMER, CUSTOMER.webhook_relations), [SOMEBODY], {"customers_pkey"}),
        (named_sql.external_ids(CUSTOMER), [SOMEBODY], {"customers_pkey"}),
    ):
        plan = await planned(filled, statement, argument)
        assert expected <= used(plan), statement
    plan = await planned(filled, named_sql.find(CUSTOMER), ["c-1", "old-c-2"], [SOMEBODY])
    assert {"customers_external_id_key", "alias_pkey", "customers_pkey"} <= used(plan)


async def test_what_is_told_is_read_by_the_keys_of_its_records(filled: Connection) -> None:
    """A webhook's records, their changes and what its filters ask for are found by their keys, whatever it asks for."""
    where = (Filter("territory.externalTerritoryId", "in", ["uk", "ie"]), Filter("smsMarketing", "eq", True))
    own = tuple(each for each in CUSTOMER.shown if each.name not in CUSTOMER.reference)
    for wanted in (
        Wanted(show=CUSTOMER.shown, where=where, watched=own),
        Wanted(show=CUSTOMER.shown, where=where, watched=own, keys=("0123456789",)),
        Wanted(show=CUSTOMER.shown, where=where, watched=own, keys=("0123456789",), every=True),
    ):
        statement, values = reading(RESOURCES, CUSTOMER, wanted)
        versions = [[1], [1]] if by_claim(wanted) else []
        plan = await planned(filled, statement, [SOMEBODY], *versions, *values)
        assert "customers_pkey" in used(plan), statement
        if wanted.every:
            assert any("record_id_version" in each for each in used(plan)), used(plan)


async def test_what_refers_to_a_record_is_found_by_an_index(filled: Connection) -> None:
    """The customers of a store are found by its id, however many others there are."""
    for name in CUSTOMER.webhook_relations:
        statement = referring_sql.referring(CUSTOMER, CUSTOMER.reference[name])
        await planned(filled, statement, [SOMEBODY], UUID(int=0), 1_000)
    await planned(filled, referring_sql.living(CUSTOMER), UUID(int=0), 1_000)


async def test_an_upsert_reads_only_what_it_writes(filled: Connection) -> None:
    """The write statement finds records, former ids and registers by their keys, however many there are."""
    for size in (1, 100):
        keys_, bodies = [f"c-{i:05d}" for i in range(size)], ['{"firstName": "Eve"}'] * size
        ids, nothing = [uuid4() for _ in range(size)], [None] * size
        arguments = (keys_, bodies, ids, ids, nothing, nothing, nothing, False, nothing, [0] * size, False, nothing)
        plan = await planned(filled, sql.upsert(RESOURCES, CUSTOMER), *arguments)
        assert "customers_external_id_key" in used(plan)


async def test_a_merge_reads_only_what_it_is_about(filled: Connection) -> None:
    """The records of a merge, those merged into them before and those that refer to them are found by their indexes."""
    gone, nothing = [[SOMEBODY], uuid4()], [None, None]
    plan = await planned(filled, merge_sql.mark(CUSTOMER), *gone, *nothing)
    assert {"customers_pkey", "customers_merged_into_id"} <= used(plan)
    statement = repoint_sql.repoint(CUSTOMER, [CUSTOMER.reference["registeredAt"]])
    assert "customers_registered_at_id" in used(await planned(filled, statement, *gone, *nothing))
    assert "alias_record_id" in used(await planned(filled, merge_sql.lead_aliases(CUSTOMER), *gone))
    await filled.execute(FILL_ASSIGNMENTS)
    assignment = RESOURCES["customerAssignment"]
    for rule in assignment.together:
        statement = repoint_sql.make_room(assignment, [assignment.reference["customer"]], rule)
        plan = await planned(filled, statement, *gone, *nothing)
        assert {each for each in used(plan) if each.startswith("customer_assignments_customer_id")}


async def test_what_is_parked_is_found_by_indexes(filled: Connection) -> None:
    """Who waits for a record, and for whom in turn, what is older than a write, what is too old: all by their keys."""
    for statement, arguments, index in (
        (PARKED.take, ("store", ["s-7", "s-8"], 200), "awaited_pkey"),
        (PARKED.supersede, ("customer", ["p-c-7"], [None], [False]), "parked_resource_external_id_by_key_key"),
        (PARKED.finish, ([SOMEBODY], ["created"], [SOMEBODY], [1], ["x"]), "awaited_job_id"),
        (PARKED.expire, (48.0, 200, "x", "%s"), "parked_parked_at"),
        (PARKED.forget, (168.0,), "parked_failed_at"),
        (CIRCLES.reached, ([SOMEBODY], 101, ["order"]), "parked_resource_external_id_by_key_key"),
        (CIRCLES.reached, ([SOMEBODY], 101, ["order"]), "awaited_job_id"),
        (CIRCLES.hold, ([SOMEBODY],), "parked_pkey"),
    ):
        plan = await planned(filled, statement, *arguments, generic=statement is not PARKED.expire)
        assert index in used(plan), (statement, used(plan))


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("", "customers_pkey"),
        ("sort=-updatedAt", "customers_updated_at"),
        ("sort=createdAt&limit=3", "customers_created_at"),
        ("sort=externalCustomerId", "customers_external_id_key"),
        ("sort=email", "customers_email"),
        ("sort=-lastName", "customers_last_name_first_name"),
        ("externalCustomerId=c-77", "customers_external_id_key"),
        ("email=77@Example.com", "customers_email"),
        ("email[in]=a,b,c", "customers_email"),
        ("telephone=%2B4477", "customers_telephone"),
        ("lastName=lovelace77", "customers_last_name_first_name"),
        ("dob=09/06/1970", "customers_dob"),
        ("registeredAt.externalStoreId=s-1", "customers_registered_at_id"),
        ("territory.externalTerritoryId=t-1", "customers_territory_id"),
        ("registeredBy.externalUserId[in]=a,b", "customers_registered_by_id"),
        ("id=00000000-0000-0000-0000-00000000004d", "customers_pkey"),
    ],
)
async def test_a_list_is_read_by_an_index(filled: Connection, text: str, index: str) -> None:
    """A page of a list reads about what it shows: in the order of an index, or what a filter's index finds."""
    statement, values = listed(text)
    plan = await planned(filled, statement, *values)
    assert index in used(plan), sorted(used(plan))


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("sku=s-77&withCount=false", "orders_lines_sku"),
        ("sku[in]=s-77,s-78&withCount=false", "orders_lines_sku"),
        ("orderNumber=N-77&withCount=false", "orders_order_number"),
        ("customerEmail=77%40example.com&withCount=false", "orders_customer_email"),
        (f"customerId={SOMEBODY}&sort=-placedAt&withCount=false", "orders_customer_id_placed_at"),
        ("sort=-placedAt&withCount=false", "orders_placed_at"),
    ],
)
async def test_orders_are_listed_by_an_index(catalogue: Connection, text: str, index: str) -> None:
    """Orders are found by what is in them, and their variants by the key, however many of either there are."""
    statement, arguments = listed(text, RESOURCES["order"])
    plan = await planned(catalogue, statement, *arguments, generic=False)
    assert {index, "variants_pkey"} <= used(plan)


@pytest.mark.parametrize(
    ("name", "text", "index"),
    [
        ("customer", "externalCustomerId=old-c-77", "customers_external_id_key"),
        ("customer", "externalCustomerId[in]=old-c-77,c-78&sort=lastName", "customers_external_id_key"),
        ("order", "customer.externalCustomerId=old-c-77", "customers_external_id_key"),
        ("order", "customer.externalCustomerId[in]=old-c-77,c-78&sort=-placedAt", "customers_external_id_key"),
    ],
)
async def test_a_former_id_is_found_by_an_index(catalogue: Connection, name: str, text: str, index: str) -> None:
    """What filters name is looked up among former ids as well, by their key, and what these lead to by its own."""
    resource = RESOURCES[name]
    statement, values = listed(text, resource)
    plan = await planned(catalogue, statement, *values)
    found = f"{resource.table}_pkey" if name == "customer" else "orders_customer_id_placed_at"
    assert {index, "alias_pkey", found} <= used(plan), sorted(used(plan))


@pytest.mark.parametrize("text", ["", "sort=-updatedAt", "limit=0"])
async def test_counting_all_scans_nothing(filled: Connection, text: str) -> None:
    """The exact count of an unfiltered list is a sum of a few differences, and not a count of the records."""
    statement, values = listed(text)
    plan = await planned(filled, statement, *values)
    assert "tally" in {each.get("Relation Name") for each in plan}
    row = await filled.fetchrow(statement, *values)
    assert row is not None
    assert row["count"] == RECORDS


async def test_a_page_is_cheap_however_many_records_there_are(filled: Connection) -> None:
    """The guide's list touches some rows of fifty thousand, and not more."""
    statement, values = listed("limit=3&sort=-updatedAt")
    text = await filled.fetchval(f"explain (analyze, format json) {statement}", *values)
    rows = [
        each["Actual Rows"] for each in nodes(json.loads(text)[0]["Plan"]) if each.get("Relation Name") == "customers"
    ]
    assert rows
    assert max(rows) <= 4


async def test_deliveries_are_found_by_indexes(filled: Connection) -> None:
    """One delivery, the failed of a webhook and the attempts of a delivery are read by their keys."""
    plan = await planned(filled, DELIVERIES.attempts, 1, SOMEBODY, 100)
    assert any("record_id_webhook_id_at" in each for each in used(plan)), used(plan)
    plan = await planned(filled, REQUEUE.count, 1, *[None] * 5)
    assert "due_webhook_id_due_at" in used(plan)
    plan = await planned(filled, REQUEUE.find, 1, *[None] * 5, UUID(int=0), 1000)
    assert {"delivery_pkey"} <= used(plan)
    plan = await planned(filled, REQUEUE.requeue, 1, [SOMEBODY])
    assert {"delivery_pkey"} <= used(plan)
    # With everything optional this is planned for its arguments each time.
    plan = await planned(filled, DELIVERIES.list, 1, None, [SOMEBODY], *[None] * 6, 1, 0, generic=False)
    assert "delivery_pkey" in used(plan)
    await planned(filled, DELIVERIES.list_waiting, 1, "owed", *[None] * 7, 50, 0, generic=False)
    # A plan does not show what a function does, so its own text is planned.
    answered = await filled.fetchval("select prosrc from pg_proc where proname = 'answered'")
    of_one = "from delivery where webhook_id = 1 and record_id = $1"
    plan = await planned(filled, f"select ({answered.replace('$1.', 'delivery.')}) {of_one}", SOMEBODY)
    assert any("record_id_webhook_id_at" in each for each in used(plan)), used(plan)


async def test_what_was_attempted_lately_is_found_by_its_moment(filled: Connection) -> None:
    """Who watches attempts reads the last seconds of them, however many there are of today."""
    seen, horizon = await filled.fetchval("select pg_current_snapshot()::text"), await filled.fetchval(LATELY.horizon)
    plan = await planned(filled, LATELY.settled, seen, horizon, None, False, 500)
    assert any(each.endswith("settled_at_idx") for each in used(plan)), used(plan)


async def test_a_key_is_found_by_its_id(filled: Connection) -> None:
    """Recognising a key is a look-up by its id."""
    await filled.execute("set enable_seqscan = off")
    try:
        assert "api_key_pkey" in used(await planned(filled, KEYS.find, "0123456789"))
    finally:
        await filled.execute("reset enable_seqscan")


@pytest.mark.parametrize(
    ("name", "text", "index"),
    [
        ("variant", "barcode=b-7", "variants_barcodes"),
        ("variant", "barcode[in]=b-7,c-9", "variants_barcodes"),
        ("variant", "sku[in]=sku-7,sku-9", "variants_sku"),
        ("price", "sku=sku-7", "prices_variant_id"),
        ("price", "variant.externalVariantId=v-7&validAt=2026-11-27T10:00:00Z", "prices_variant_id"),
        ("stockLevel", "sku[in]=sku-7,sku-9", "stock_levels_variant_id"),
        ("stockLevel", "store.externalStoreId=s-7&available[gt]=48", "stock_levels_store_id"),
    ],
)
async def test_a_catalogue_is_searched_by_its_indexes(catalogue: Connection, name: str, text: str, index: str) -> None:
    """Items of arrays and fields of other records are found by an index, as a record's own fields are."""
    statement, values = listed(text, RESOURCES[name])
    plan = await planned(catalogue, statement, *values, generic=False)
    assert index in used(plan)


async def test_what_a_variant_has_is_found_by_its_indexes(catalogue: Connection) -> None:
    """The price that holds, a stock level by its natural key, and a variant that is alike cost looks into indexes."""
    variant, draft = RESOURCES["variant"], f'{{"productId": "{SOMEBODY}", "options": {{"size": "M"}}}}'
    asked: dict[str, tuple[str, list[Any]]] = {
        "prices_variant": (load(prices.__file__).find, [SOMEBODY, SOMEBODY, "2026", None, "default", 1]),
        "stock_levels": (
            named_sql.by_natural_key(RESOURCES, RESOURCES["stockLevel"]),
            [[None], ["s-7"], [None], ["v-7"]],
        ),
        "variants_product_id": (alike_sql.alike(variant, variant.differing[0]), [["v"], [draft]]),
    }
    for index, (statement, values) in asked.items():
        assert index in " ".join(used(await planned(catalogue, statement, *values, generic=False)))


async def test_stock_is_written_by_its_natural_key_with_a_look_into_an_index(catalogue: Connection) -> None:
    """A write by natural key finds the record, whatever it is called, without going through the table."""
    for size in (1, 100):
        names, bodies = [f"x-{i}" for i in range(size)], [f'{{"storeId": "{SOMEBODY}"}}'] * size
        ids, nothing = [uuid4() for _ in range(size)], [None] * size
        given = (names, bodies, ids, ids, nothing, nothing, nothing, False, nothing, [0] * size, False, nothing)
        plan = await planned(catalogue, sql.upsert(RESOURCES, RESOURCES["stockLevel"]), *given, [True] * size)
        assert {each for each in used(plan) if each.startswith("stock_levels_variant_id")}


async def test_a_path_is_walked_by_the_key(catalogue: Connection) -> None:
    """Where a record stands in its tree is found by one look into an index for each record above it."""
    category = RESOURCES["category"]
    plan = await planned(catalogue, page.by_id(RESOURCES, category, category.shown), [SOMEBODY])
    assert used(plan) == {"categories_pkey"}
