"""The traps of the guide's data: what looks wrong and is kept, what is checked and how, what is unique."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from retailos.resources import RESOURCES
from tests.contract.conftest import TIMESTAMP, Api, codes


async def kept(api: Api, number: int, **fields: Any) -> dict[str, Any]:
    """Write a customer with these fields and give how they read."""
    path = f"/customers/data-{number}"
    put = await api.put(path, {"lastName": "Doe"} | fields)
    assert put.status == 200, put.body
    shown = (await api.get(path)).result
    return {name: shown[name] for name in fields}


@pytest.mark.parametrize(
    "telephone", ["+44 8800000000", "0", "call me", "(020) 7946-0958 ext. 3", "☎", "00442079460958", " 1 ", "x" * 40]
)
async def test_a_telephone_is_kept_as_sent(shop: Api, number: int, telephone: str) -> None:
    """A telephone number is never refused for its digits, and comes back as it was sent."""
    assert await kept(shop, number, telephone=telephone) == {"telephone": telephone}


async def test_what_is_no_telephone_number_is_taken_with_a_warning(shop: Api, number: int) -> None:
    """A number that can't be read is kept, and each answer to it says where it stands; one that can is not told of."""
    ways = (("/customers", "lastName", "Doe"), ("/stores", "name", "S"))
    for path, name, value in ways:
        put = await shop.put(f"{path}/odd-{number}", {name: value, "telephone": "call me"})
        assert [(each["path"], each["code"]) for each in put.result[0]["warnings"]] == [
            ("/telephone", "NOT_A_TELEPHONE")
        ]
        assert "call me" not in put.body.decode()
        assert (await shop.get(f"{path}/odd-{number}")).result["telephone"] == "call me"
        put = await shop.put(f"{path}/odd-{number}", {name: value, "telephone": "+44 8800000000"})
        assert put.result[0]["warnings"] == []
    many = [{"externalCustomerId": f"odd-{number}-{i}", "telephone": each} for i, each in enumerate(("020 7946", "-"))]
    put = await shop.put("/customers", {"customers": many})
    assert [[each["path"] for each in job["warnings"]] for job in put.result] == [[], ["/customers/1/telephone"]]
    guest = {"startAt": "2026-11-27T10:00:00Z", "endAt": "2026-11-27T11:00:00Z", "guest": {"telephone": "?"}}
    booked = await shop.put(f"/appointments/odd-{number}", guest | {"store": {"externalStoreId": f"odd-{number}"}})
    assert [each["path"] for each in booked.result[0]["warnings"]] == ["/guest/telephone"]


@pytest.mark.parametrize("gtin", ["hello", "5012345678901", "501234567891", "x" * 50])
async def test_what_is_no_gtin_is_taken_with_a_warning(shop: Api, number: int, gtin: str) -> None:
    """In-store barcodes come as GTINs too: they are kept and found, and the answer says that they are none."""
    await shop.put(f"/products/p-{number}", {"name": "Shirt"})
    body = {"product": {"externalProductId": f"p-{number}"}}
    put = await shop.put(f"/variants/gtin-{number}", body | {"gtin": gtin})
    assert [(each["path"], each["code"]) for each in put.result[0]["warnings"]] == [("/gtin", "NOT_A_GTIN")]
    found = (await shop.get(f"/variants?gtin={gtin}&product.externalProductId=p-{number}")).result["rows"]
    assert [each["gtin"] for each in found] == [gtin]
    for right in ("5012345678900", "", None):
        put = await shop.put(f"/variants/gtin-{number}", body | {"gtin": right})
        assert put.result[0]["warnings"] == []


@pytest.mark.parametrize("asked", ["+44 20 7946 0958", "0044 20 79460958", "+44(20)7946-0958", "442079460958"])
async def test_a_telephone_is_found_by_its_digits(shop: Api, number: int, asked: str) -> None:
    """However a number is written, it is found by its digits."""
    await kept(shop, number, telephone="+44 (0)20 7946 0958")
    await kept(shop, 100_000 + number, telephone="+44 20 7946 0958")
    found = await shop.get(
        f"/customers?fields=externalCustomerId&telephone={asked.replace('+', '%2B').replace(' ', '%20')}"
    )
    names = {row["externalCustomerId"] for row in found.result["rows"]}
    assert f"data-{100_000 + number}" in names
    assert f"data-{number}" not in names


@pytest.mark.parametrize("dob", ["01/01/1904", "01/01/1900", "29/02/2000", "31/12/1999"])
async def test_a_date_of_birth_is_printed_as_sent(shop: Api, number: int, dob: str) -> None:
    """A date of birth is dd/mm/yyyy, in and out."""
    assert await kept(shop, number, dob=dob) == {"dob": dob}


async def test_a_date_of_birth_may_be_today_and_no_later(shop: Api, number: int) -> None:
    """Nobody is born after today, wherever on earth that is; the empty string means that nobody knows."""
    today = datetime.now(UTC)
    assert (await kept(shop, number, dob=today.strftime("%d/%m/%Y")))["dob"]
    later = (today + timedelta(days=2)).strftime("%d/%m/%Y")
    refused = await shop.put(f"/customers/data-{number}", {"lastName": "Doe", "dob": later})
    assert codes(refused) == [("/dob", "INVALID_DATE")]
    assert await kept(shop, number, dob="") == {"dob": None}


async def test_dates_of_birth_are_sorted_and_filtered_as_dates(shop: Api) -> None:
    """01/12/1950 is before 02/01/1951, though its text is not: lists know days, not letters."""
    dobs = ["02/01/1951", "01/12/1950", "31/01/1951", "15/06/1950"]
    for i, dob in enumerate(dobs):
        await kept(shop, 200_000 + i, dob=dob, title="sorted")
    path = "/customers?fields=dob&sort=dob&dob[gte]=15/06/1950&dob[lt]=31/01/1951"
    found = (await shop.get(path)).result["rows"]
    assert [row["dob"] for row in found] == ["15/06/1950", "01/12/1950", "02/01/1951"]


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "Mr", "gender": "Female"},
        {"title": "-", "gender": "Unknown"},
        {"title": "Wing Commander", "gender": "prefers not to say"},
        {"title": "", "gender": ""},
    ],
    ids=str,
)
async def test_title_and_gender_are_free_text(shop: Api, number: int, fields: dict[str, str]) -> None:
    """A title and a gender are whatever the source says, and neither is checked against the other."""
    assert await kept(shop, number, **fields) == fields


@pytest.mark.parametrize(
    "address",
    [
        {"city": "", "county": "", "country": "", "address1": "", "address2": "", "postCode": ""},
        {"city": "London", "country": "United Kingdom", "address1": "240 Blackfriars Road", "postCode": "SE1 8NW"},
        {"country": "Atlantis"},
        {"country": "United Kingdom", "countryCode": "GB", "address3": "Floor 2"},
        {},
    ],
    ids=str,
)
async def test_an_address_is_kept_as_sent(shop: Api, number: int, address: dict[str, str]) -> None:
    """Empty strings stay, members that were not sent stay absent, and a country is a name."""
    [shown] = (await kept(shop, number, address=address)).values()
    assert list(shown.items()) == sorted(address.items(), key=lambda item: (len(item[0]), item[0]))
    assert shown == address


async def test_an_email_is_unique_nowhere(shop: Api, number: int) -> None:
    """Many records may share an e-mail address; it is kept as sent and found in any case."""
    for i in range(2):
        assert await kept(shop, 300_000 + 2 * number + i, email="Unknown@Unknown.com") == {
            "email": "Unknown@Unknown.com"
        }
        user = {"firstName": "A", "lastName": "B", "username": f"mail-{number}-{i}", "email": "unknown@unknown.com"}
        assert (await shop.put(f"/users/mail-{number}-{i}", user)).status == 200
    assert (await shop.get("/customers?email=unknown%40UNKNOWN.com")).result["count"] >= 2


@pytest.mark.parametrize(
    "email", ["a@b.test", "a@b.local", "a@localhost", "ö@ü.example", "😀@example.com", "a+b@c", '"x"@y']
)
async def test_an_email_is_checked_for_its_syntax_alone(shop: Api, number: int, email: str) -> None:
    """Addresses of any domain and script are taken; the empty string means that there is none."""
    assert await kept(shop, number, email=email) == {"email": email}
    assert await kept(shop, number, email="") == {"email": None}


async def test_a_username_is_unique_whatever_its_case(shop: Api, number: int) -> None:
    """Two users can't have one username; the refusal names the field, and nothing of the request is written."""
    user = {"firstName": "A", "lastName": "B", "username": f"Name-{number}"}
    assert (await shop.put(f"/users/unique-{number}", user)).status == 200
    refused = await shop.put(f"/users/other-{number}", {"user": user | {"username": f"nAME-{number}"}})
    assert (refused.status, refused.error["code"]) == (409, "NOT_UNIQUE")
    assert codes(refused) == [("/user/username", "NOT_UNIQUE")]
    assert (await shop.get(f"/users/other-{number}")).status == 404
    assert (await shop.put(f"/users/unique-{number}", user | {"title": "-"})).status == 200
    assert (await shop.put(f"/users/digits-{number}", user | {"username": f"26825{number}"})).status == 200
    assert (await shop.put(f"/users/digits-{number}", user)).status == 409


@pytest.mark.parametrize("target", [None, [], {}, 0, "1000", 12.5, [{"period": "2020-03", "amount": "1000.00"}], True])
async def test_a_sales_target_is_any_json(shop: Api, number: int, target: Any) -> None:
    """A sales target is whatever JSON the source has; unset it is null on a user, and an empty array on a store."""
    user = {"firstName": "A", "lastName": "B", "username": f"target-{number}"}
    for path, body, unset in ((f"/users/t-{number}", user, None), (f"/stores/t-{number}", {"name": "X"}, [])):
        await shop.put(path, body)
        assert (await shop.get(path)).result["salesTarget"] == unset
        await shop.put(path, body | {"salesTarget": target})
        assert (await shop.get(path)).result["salesTarget"] == (unset if target is None else target)


def test_nested_objects_have_the_guides_fields() -> None:
    """A user is shown within others with 20 fields, a store with 10 and a territory with 3, every other by its ids."""
    sizes = {name: len(resource.projection) for name, resource in RESOURCES.items()}
    assert (sizes["user"], sizes["store"], sizes["territory"]) == (20, 10, 3)
    for name, resource in RESOURCES.items():
        assert resource.projection[0] == "id"
        assert {"version", "deletedAt", "sourceUpdatedAt"}.isdisjoint(resource.projection)
        assert name == "territory" or resource.external_id.name in resource.projection


async def test_moments_are_stored_as_they_are_printed(shop: Api, number: int) -> None:
    """Milliseconds are all there is: what is printed is what is compared, so a filter on it finds the record."""
    put = await shop.put(f"/customers/ms-{number}", {"firstName": "Ada"})
    shown = (await shop.get(f"/customers/ms-{number}")).result
    assert all(TIMESTAMP.fullmatch(shown[name]) for name in ("createdAt", "updatedAt"))
    for name in ("createdAt", "updatedAt"):
        found = (await shop.get(f"/customers?{name}={shown[name]}")).result["rows"]
        assert shown["id"] in {row["id"] for row in found}
        for operator, expected in (("gt", False), ("gte", True), ("lt", False), ("lte", True)):
            found = (await shop.get(f"/customers?limit=500&{name}[{operator}]={shown[name]}")).result["rows"]
            assert (shown["id"] in {row["id"] for row in found}) is expected
    assert put.result[0]["createdAt"] == shown["createdAt"]


async def test_updated_at_rises_whatever_the_clock_says(shop: Api, number: int) -> None:
    """A change is later than the one before, by a millisecond at least, even where the clock was set back."""
    path = f"/customers/clock-{number}"
    await shop.put(path, {"firstName": "Ada"})
    ahead = "update customers set updated_at = '2100-01-01T00:00:00.500Z' where external_id = $1"
    async with shop.engine.pool.acquire() as connection:
        await connection.execute(ahead, f"clock-{number}")
    for i in range(3):
        await shop.put(path, {"firstName": f"Ada {i}"})
        assert (await shop.get(path)).result["updatedAt"] == f"2100-01-01T00:00:00.50{i + 1}Z"


@pytest.mark.parametrize(
    "value", [{"a": {"b": [1, "x", None, True]}}, {"a": "é😀"}, {"": 1, "a.b": 2}, {"n": 1.5}, {"n": 10**39}]
)
async def test_details_are_free(shop: Api, number: int, value: dict[str, Any]) -> None:
    """details and reporting are the caller's own JSON, kept as they are."""
    assert await kept(shop, number, details=value, reporting=value) == {"details": value, "reporting": value}


async def test_details_have_limits(shop: Api, number: int) -> None:
    """Free JSON is at most 64 KiB and ten levels deep; one byte or level more is refused."""
    fits = {"a": "x" * (64 * 1024 - 8)}
    assert await kept(shop, number, details=fits) == {"details": fits}
    path = f"/customers/data-{number}"
    assert codes(await shop.put(path, {"lastName": "D", "details": {"a": "x" * (64 * 1024 - 7)}})) == [
        ("/details", "TOO_LARGE")
    ]
    deep: Any = {}
    for _ in range(9):
        deep = {"a": deep}
    assert await kept(shop, number, details=deep) == {"details": deep}
    refused = await shop.put(path, {"lastName": "D", "details": {"a": deep}})
    assert codes(refused) == [("/details" + "/a" * 10, "TOO_DEEP")]


async def test_nobody_is_anonymised_by_a_flag(shop: Api, number: int) -> None:
    """anonymised is false until the operation of that name exists: it can't be set like a field."""
    assert await kept(shop, number, anonymised=False) == {"anonymised": False}
    refused = await shop.put(f"/customers/data-{number}", {"lastName": "Doe", "anonymised": True})
    assert codes(refused) == [("/anonymised", "NOT_SETTABLE")]
