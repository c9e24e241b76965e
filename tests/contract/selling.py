"""Orders for tests: lines, orders of them that add up, and what they refer to."""

from typing import Any

from retailos.resources import RESOURCES
from tests.contract.conftest import Api, ground, least


def line(key: str, price: str = "10.00", quantity: int = 1, **more: Any) -> dict[str, Any]:
    """A line of an order, as a till sends it."""
    total = f"{float(price) * quantity:.2f}"
    plain = {"externalOrderLineId": key, "sku": f"sku-{key}", "name": "Jumper", "quantity": quantity}
    return {**plain, "unitPrice": price, "total": total, **more}


def order(*lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An order of these lines, or of one, whose total adds up."""
    sold = lines or (line("1"),)
    total = f"{sum(float(each['total']) for each in sold):.2f}"
    return {"placedAt": "2026-11-01T10:00:00.000Z", "currency": "GBP", "total": total, "lines": list(sold), **more}


async def written(api: Api, path: str, body: Any, outcome: str = "created") -> dict[str, Any]:
    """PUT a body that is taken; give the record as it reads then."""
    put = await api.put(path, body)
    assert put.status == 200, put.body
    assert put.result[0]["outcome"] == outcome
    shown: dict[str, Any] = (await api.get(path)).result
    return shown


async def catalogue(api: Api, number: int) -> dict[str, list[str]]:
    """Make what orders refer to, and give its external ids."""
    known: dict[str, list[str]] = {}
    for name in ("customer", "store", "user", "product", "variant", "promotion"):
        key = f"{name}-{number}"
        await ground(api, RESOURCES[name], number)
        assert (await api.put(f"/{RESOURCES[name].collection}/{key}", least(RESOURCES[name], number))).status == 200
        known[name] = [key]
    return known
