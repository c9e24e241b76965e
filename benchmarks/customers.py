"""The customers of the benchmarks: a body of some 600 bytes as a till sends it, and many of them made by SQL."""

from typing import Final

import msgspec

from retailos.database.pool import Connection
from retailos.records import sql
from retailos.records.identity import new_id
from retailos.resources import RESOURCES
from retailos.resources.customer import CUSTOMER

#: Stands where a number makes one body differ from the next.
NUMBER: Final = "NUMBER"
#: One customer's body as JSON text.
BODY: Final[str] = msgspec.json.encode(
    {
        "title": "Ms",
        "gender": "Female",
        "firstName": "Ada",
        "lastName": "Lovelace",
        "telephone": "+442079460958",
        "email": "ada.lovelace@example.com",
        "dob": "10/12/1985",
        "generalMarketing": True,
        "thirdPartyMarketing": False,
        "storeMarketing": True,
        "smsMarketing": False,
        "emailMarketing": True,
        "postMarketing": False,
        "address": {
            "address1": "240 Blackfriars Road",
            "address2": "Flat 2",
            "city": "London",
            "county": "Greater London",
            "postCode": "SE1 8NW",
            "country": "United Kingdom",
        },
        "details": {"loyaltyCard": f"LC-{NUMBER}", "tier": "gold", "notes": "Prefers to be called in the afternoon."},
        "preferredLocale": "en-GB",
    }
).decode()

_INSERT_MANY = """
with made as (
    insert into customers (id, external_id, version, operation, created_at, updated_at, body)
    select uuidv7(), 'known-' || n, 1, 'create', at, at, replace($1::text, 'NUMBER', n::text)::jsonb
    from generate_series($2::int, $3::int) as n,
        lateral (select date_trunc('milliseconds', now()) - ($4::int - n) * interval '1 second' as at) as when_made
    returning 1
)
insert into tally (resource, delta) select 'customer', count(*) from made
"""
#: Rows that one statement writes here; a large set only saves round trips.
_AT_ONCE: Final = 2_000


async def write(connection: Connection, count: int) -> None:
    """Write customers known-1 … by the very statement of a write, so that each webhook owes them."""
    statement = sql.upsert(RESOURCES, CUSTOMER)
    for first in range(1, count + 1, _AT_ONCE):
        # In the order of the external ids, which the statement asks for, each with its own body.
        numbers = sorted(range(first, min(first + _AT_ONCE, count + 1)), key=lambda number: f"known-{number}")
        ids, nothing = [new_id() for _ in numbers], [None for _ in numbers]
        await connection.execute(
            statement,
            [f"known-{number}" for number in numbers],
            [BODY.replace(NUMBER, str(number)) for number in numbers],
            *(ids, ids, nothing, ids, nothing, False, nothing, [0 for _ in numbers], False, nothing),
            timeout=60,
        )


async def insert(connection: Connection, count: int) -> None:
    """Insert customers known-1 … in bulk with their tally, a second between two, the last one just now."""
    for first in range(1, count + 1, 100_000):
        await connection.execute(_INSERT_MANY, BODY, first, min(first + 99_999, count), count, timeout=120)
    await connection.execute("vacuum (analyze) customers", timeout=120)


def path(name: str) -> str:
    """The path of a customer with this external id."""
    return f"/v2/public/{RESOURCES['customer'].collection}/{name}"
