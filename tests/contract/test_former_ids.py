"""A record is found by the external ids that it had before, and by those of what was merged into it, in filters too."""

from typing import Any

import pytest

from retailos.receiver import Receiver
from retailos.resources import RESOURCES
from tests.contract.conftest import Api, least
from tests.contract.delivering import settled, webhook, working
from tests.contract.test_merge import made, merged


async def renamed(api: Api, collection: str, record: str, field: str, old: str, **body: Any) -> None:
    """Make a record and give it another external id."""
    answer = await api.put(f"/{collection}/{old}", body)
    assert answer.status == 200, answer.body
    path = f"/{collection}/id/{answer.result[0]['resourceId']}"
    assert (await api.put(path, body | {field: record})).status == 200


async def found(api: Api, path: str, field: str) -> list[str]:
    """The external ids of the records of a list."""
    answer = await api.get(path)
    assert answer.status == 200, answer.body
    assert answer.result["count"] == len(answer.result["rows"])
    return [each[field] for each in answer.result["rows"]]


async def ordered(api: Api, key: str, customer: str) -> None:
    """Write an order of a customer."""
    body = least(RESOURCES["order"], 1) | {"customer": {"externalCustomerId": customer}}
    answer = await api.put(f"/orders/{key}", body)
    assert answer.status == 200, answer.body


@pytest.fixture
async def ada(shop: Api, number: int) -> int:
    """A customer of two names, with an order and a namesake of others; the number in their names."""
    await renamed(shop, "customers", f"new-{number}", "externalCustomerId", f"old-{number}", lastName=f"L{number}")
    await shop.put(f"/customers/other-{number}", {"lastName": f"L{number}"})
    # An external id is one of its resource alone.
    await renamed(shop, "stores", f"new-{number}", "externalStoreId", f"other-{number}", name="Leeds")
    for key in ("new", "other"):
        await ordered(shop, f"{key}-{number}", f"{key}-{number}")
    return number


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("=old", ["new"]),
        ("=new", ["new"]),
        ("[in]=nobody,old", ["new"]),
        ("[in]=new,old,other", ["new", "other"]),
        ("[in]=nobody", []),
        ("[ne]=old", ["other"]),
        ("[ne]=nobody", ["new", "other"]),
        ("[startsWith]=old", []),
    ],
)
async def test_a_list_finds_a_record_by_a_former_external_id(
    shop: Api, ada: int, asked: str, expected: list[str]
) -> None:
    """What a filter names by a former id is what it names by the present one, also among several, or left out."""
    operator, values = asked.split("=")
    given = values if "starts" in operator else ",".join(f"{each}-{ada}" for each in values.split(","))
    path = f"/customers?lastName=L{ada}&sort=externalCustomerId&externalCustomerId{operator}={given}"
    assert await found(shop, path, "externalCustomerId") == [f"{each}-{ada}" for each in expected]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("=old", ["new"]), ("[in]=old,other", ["new", "other"]), ("=nobody", []), ("[ne]=old", ["other"])],
)
async def test_a_relation_is_found_by_a_former_external_id(
    shop: Api, ada: int, asked: str, expected: list[str]
) -> None:
    """What refers to a record is found by any name of it."""
    operator, values = asked.split("=")
    given = ",".join(f"{each}-{ada}" for each in values.split(","))
    ours = f"externalOrderId[in]=new-{ada},other-{ada}"
    path = f"/orders?{ours}&sort=externalOrderId&customer.externalCustomerId{operator}={given}"
    assert await found(shop, path, "externalOrderId") == [f"{each}-{ada}" for each in expected]


async def test_one_of_many_relations_is_found_by_a_former_external_id(shop: Api, number: int) -> None:
    """So is what refers to many records by one field."""
    await renamed(shop, "categories", f"new-{number}", "externalCategoryId", f"old-{number}", name="Shirts")
    await shop.put(f"/products/p-{number}", {"name": "Oxford", "categories": [{"externalCategoryId": f"new-{number}"}]})
    await shop.put(f"/products/q-{number}", {"name": "Derby"})
    path = f"/products?category.externalCategoryId=old-{number}"
    assert await found(shop, path, "externalProductId") == [f"p-{number}"]


async def test_what_was_merged_finds_the_survivor(shop: Api, number: int) -> None:
    """A merged record's external id finds the survivor and what refers to it, and, if that is asked for, itself."""
    survivor, loser = await made(shop, f"s-{number}"), await made(shop, f"l-{number}")
    await ordered(shop, f"of-{number}", f"l-{number}")
    await merged(shop, survivor, loser)
    path = f"/customers?externalCustomerId=l-{number}"
    assert await found(shop, path, "externalCustomerId") == [f"s-{number}"]
    whole = await found(shop, f"{path}&includeDeleted=true&sort=externalCustomerId", "externalCustomerId")
    assert whole == [f"l-{number}", f"s-{number}"]
    orders = f"/orders?customer.externalCustomerId=l-{number}"
    assert await found(shop, orders, "externalOrderId") == [f"of-{number}"]
    await shop.request("DELETE", f"/v2/public/customers/id/{survivor}")
    assert await found(shop, path, "externalCustomerId") == []


@pytest.mark.parametrize("sends", ["latest", "every"])
async def test_a_webhook_is_told_of_what_it_names_by_a_former_id(shop: Api, ada: int, sends: str) -> None:
    """A webhook that names a customer by what it was called goes on to be told of it, and of what refers to it."""
    async with Receiver.listen() as receiver, working(shop):
        where: tuple[tuple[str, dict[str, Any]], ...] = (
            ("customer", {"externalCustomerId": f"old-{ada}"}),
            ("order", {"customer.externalCustomerId": [f"old-{ada}"]}),
        )
        orders = [
            await webhook(shop, receiver, name, name=f"{name}-{sends}-{ada}", where=each, sends=sends)
            for name, each in where
        ]
        for key in ("other", "new"):
            await shop.put(f"/customers/{key}-{ada}", {"lastName": f"L{ada}", "title": sends})
            body = {"details": {"sends": sends}}
            await shop.request("PATCH", f"/v2/public/orders/external/{key}-{ada}", json=body)
        for order in orders:
            await settled(shop, order, f"other-{ada}", "skipped")
            await settled(shop, order, f"new-{ada}")
        told = [each.path.rpartition("/")[2] for each in receiver.received]
    assert told == [f"new-{ada}"] * 2
