"""What a record reads as what another one says, while nobody sends it: an appointment's time zone is its store's."""

from typing import Any

import pytest

from tests.contract.conftest import Api

TIMES = {"startAt": "2026-11-27T10:00:00.000Z", "endAt": "2026-11-27T11:00:00.000Z"}


async def stored(api: Api, key: str, zone: str | None) -> dict[str, Any]:
    """PUT a store in a time zone; give the reference to it."""
    assert (await api.put(f"/stores/{key}", {"name": "Leeds", "timezone": zone})).status == 200
    return {"store": {"externalStoreId": key}}


async def zone_of(api: Api, path: str) -> Any:
    """The time zone that an appointment is shown with: by itself, and in a list."""
    one = (await api.get(path)).result
    [row] = (await api.get(f"/appointments?id={one['id']}&fields=timezone,storeId")).result["rows"]
    assert row == {"timezone": one["timezone"], "storeId": one["storeId"]}
    return one["timezone"]


async def test_an_appointment_is_in_its_stores_time_zone(shop: Api, number: int) -> None:
    """Without one of its own it reads the store's, whatever that is by now; null lets it follow again."""
    path, store = f"/appointments/a-{number}", await stored(shop, f"s-{number}", "Europe/London")
    assert (await shop.put(path, TIMES | store)).result[0]["outcome"] == "created"
    assert await zone_of(shop, path) == "Europe/London"
    await stored(shop, f"s-{number}", "Europe/Paris")
    assert await zone_of(shop, path) == "Europe/Paris"
    for sent, outcome, shown in (
        ({"timezone": "Asia/Tokyo"}, "updated", "Asia/Tokyo"),
        ({}, "unchanged", "Asia/Tokyo"),
        ({"timezone": None}, "updated", "Europe/Paris"),
        ({"timezone": None}, "unchanged", "Europe/Paris"),
    ):
        assert (await shop.put(path, TIMES | store | sent)).result[0]["outcome"] == outcome, sent
        assert await zone_of(shop, path) == shown
    await stored(shop, f"s-{number}", None)
    assert await zone_of(shop, path) is None
    other = await stored(shop, f"o-{number}", "Europe/Rome")
    assert (await shop.put(path, TIMES | other)).result[0]["outcome"] == "updated"
    assert await zone_of(shop, path) == "Europe/Rome"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_what_is_read_and_sent_back_follows_still(shop: Api, number: int, method: str) -> None:
    """A time zone that came from the store is not the appointment's own because somebody sent it back."""
    path, store = f"/appointments/a-{number}", await stored(shop, f"s-{number}", "Europe/London")
    await shop.put(path, TIMES | store)
    before = (await shop.get(f"{path}?expand=store")).result
    form = path.replace("/a-", "/external/a-") if method == "PATCH" else path
    for sent in (before, {"appointment": before}):
        back = await shop.request(method, f"/v2/public{form}", json=sent)
        assert back.result[0]["outcome"] == "unchanged", back.body
    changed = before | {"title": "Winter coats"}
    assert (await shop.request(method, f"/v2/public{form}", json=changed)).result[0]["outcome"] == "updated"
    await stored(shop, f"s-{number}", "Europe/Paris")
    assert await zone_of(shop, path) == "Europe/Paris"
    sent = changed | {"timezone": "Europe/London"}
    assert (await shop.request(method, f"/v2/public{form}", json=sent)).result[0]["outcome"] == "updated"
    assert await zone_of(shop, path) == "Europe/London"
