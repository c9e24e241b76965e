"""The price that holds: of all that a variant has, the one for a place, a moment, a currency and a quantity."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.declare.resource import Resource, Resources
from retailos.declare.values import Uuid, printed
from retailos.errors import Problem, ResourceNotFound, ValidationFailed
from retailos.records import named_sql

_SQL = load(__file__)
_FIND = _SQL.find
#: Currencies that a message names; who sells in more knows them.
_NAMED_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which price is looked for; records are named by our id or their external id."""

    variant: str
    at: datetime
    store: str | None = None
    currency: str | None = None
    price_list: str = "default"
    quantity: int = 1


async def find(pool: Pool, resources: Resources, asked: Asked) -> UUID:
    """Give the id of the price that holds.

    The store's own comes before its region's, its territory's and everybody's; then one that is reduced, one for a
    larger quantity, and the latest. Raises ResourceNotFound where the variant is unknown or nothing holds, and
    ValidationFailed where the store is unknown, or prices of several currencies hold and none is asked for. What is
    deleted is as unknown as what never was.
    """
    async with acquire(pool) as connection:
        variant = await _known(connection, resources["variant"], asked.variant)
        store = await _known(connection, resources["store"], asked.store) if asked.store is not None else None
        if variant is None:
            raise ResourceNotFound("There is no such variant.")
        if asked.store is not None and store is None:
            raise ValidationFailed([Problem("store", "REFERENCE_NOT_FOUND", "expected a store that exists")])
        moment = printed(asked.at)
        found = await connection.fetchrow(
            _FIND, variant, store, moment, asked.currency, asked.price_list, asked.quantity
        )
    if found is None:
        raise ResourceNotFound("The variant has no price that holds for what was asked.")
    if len(found["currencies"]) > 1:
        raise ValidationFailed([_several(found["currencies"])])
    price: UUID = found["id"]
    return price


def _several(currencies: Sequence[str]) -> Problem:
    more = f" and {len(currencies) - _NAMED_MOST} more" if len(currencies) > _NAMED_MOST else ""
    named = ", ".join(currencies[:_NAMED_MOST])
    return Problem("currency", "REQUIRED", f"expected a currency, since prices of several hold: {named}{more}")


async def _known(connection: Connection, resource: Resource, name: str) -> UUID | None:
    """Find a living record by our id, if its name has the form of one and is known, else by its external id."""
    try:
        ids = [Uuid().parse(name)]
    except ValueError:
        ids = []
    rows = await connection.fetch(named_sql.find_living(resource), [name], ids)
    known: dict[bool, UUID] = {row["id"] is None: row["found"] for row in rows}
    return known.get(False) or known.get(True)
