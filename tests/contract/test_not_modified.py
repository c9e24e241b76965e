"""304 is answered to whoever has what would be shown, and to nobody who has something older."""

from typing import Any

import pytest

from retailos.resources import RESOURCES
from tests.contract.conftest import Api, ground, least
from tests.contract.test_get import linked

REFERRING = pytest.mark.parametrize(
    "resource", [each for each in RESOURCES.values() if each.references], ids=lambda each: each.name
)


async def asked_again(api: Api, path: str) -> int:
    """The status of a GET with the ETag that the same GET has just given."""
    first = await api.get(path)
    assert first.status == 200, first.body
    return (await api.get(path, headers={"If-None-Match": first.headers["etag"]})).status


@REFERRING
async def test_an_expanded_reference_is_shown_as_it_is_now(shop: Api, resource: Any, number: int) -> None:
    """With a reference shown there is no 304, as the record's version says nothing of the other; without, there is."""
    await linked(shop, resource, number)
    path = f"/{resource.collection}/from-{number}"
    for name in resource.reference:
        for asked in (f"expand={name}", f"fields=id,{name}", f"fields=id&expand={name}"):
            assert await asked_again(shop, f"{path}?{asked}") == 200
    assert await asked_again(shop, f"{path}?fields=id,details") == 304
    assert (await shop.get(f"{path}?expand={name}", headers={"If-None-Match": "*"})).status == 304


async def test_what_has_changed_in_an_expanded_record_is_seen(shop: Api, number: int) -> None:
    """Whoever holds a customer with its store is told when the store changes, though the customer does not."""
    await shop.put(f"/stores/s-{number}", {"name": "Before"})
    await shop.put(f"/customers/c-{number}", {"firstName": "Ada", "registeredAt": {"externalStoreId": f"s-{number}"}})
    path = f"/customers/c-{number}?expand=registeredAt"
    first = await shop.get(path)
    await shop.put(f"/stores/s-{number}", {"name": "After"})
    again = await shop.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.headers["etag"]) == (200, first.headers["etag"])
    assert again.result["registeredAt"]["name"] == "After"


async def test_what_the_lines_of_an_order_show_is_seen_too(shop: Api, number: int) -> None:
    """An order shows the products of its lines unasked, so it is 304 only where the lines are left out."""
    await linked(shop, RESOURCES["order"], number)
    path = f"/orders/from-{number}"
    assert await asked_again(shop, path) == 200
    assert await asked_again(shop, f"{path}?fields=id,status,version") == 304


async def test_a_place_in_a_tree_is_seen_to_move(shop: Api, number: int) -> None:
    """A category shows those above it; whoever holds it is told where one of these was moved."""
    for name, parent in (("top", None), ("middle", None), ("leaf", "middle")):
        above = {"parent": {"externalCategoryId": f"{parent}-{number}"}} if parent else {}
        await shop.put(f"/categories/{name}-{number}", {"name": name} | above)
    path = f"/categories/leaf-{number}"
    first = await shop.get(path)
    await shop.put(
        f"/categories/middle-{number}", {"name": "middle", "parent": {"externalCategoryId": f"top-{number}"}}
    )
    again = await shop.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.result["version"]) == (200, first.result["version"])
    assert again.result != first.result


async def test_another_price_is_never_taken_for_the_one_before(shop: Api, number: int) -> None:
    """The price that holds is always shown: two prices may be at the same version."""
    price = RESOURCES["price"]
    await ground(shop, price, number)
    await shop.put(f"/prices/one-{number}", least(price, number))
    path = f"/variants/ground-{number}/price"
    first = await shop.get(path)
    assert first.status == 200, first.body
    assert (await shop.get(path, headers={"If-None-Match": first.headers["etag"]})).status == 200
