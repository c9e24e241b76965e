"""What the route that looks a price up does: read what is asked, find the price that holds, and show it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeVar

from retailos.api.access import check_shown
from retailos.api.call import Answer, Call, Engine
from retailos.api.endpoints import external_id_of, one, resource_of
from retailos.catalogue import prices
from retailos.catalogue.prices import Asked
from retailos.declare.texts import CURRENCY
from retailos.declare.values import moment
from retailos.errors import Problem, ValidationFailed
from retailos.records import query, store
from retailos.records.references import external_id_problem

#: As many as a price can be for.
QUANTITY_MOST: Final = 1_000_000
_PARAMETERS: Final = ("store", "at", "currency", "priceList", "quantity", "fields", "expand")

T = TypeVar("T")


async def get_price(engine: Engine, call: Call) -> Answer:
    """GET the price that holds for a variant: in a store, at a moment, in a currency, of a price list, for so many.

    The store's own price comes before its region's, its territory's and everybody's; then a reduced one before a
    regular one, one for a larger quantity, and the latest.
    """
    given = query.parameters(call.query)
    query.refuse_unknown(given, _PARAMETERS)
    problems: list[Problem] = []
    asked = _asked(external_id_of(call, "variantId"), given, problems)
    show = query.show(resource_of(call), given, problems)
    if problems:
        raise ValidationFailed(problems)
    check_shown(call, show)
    found = await prices.find(engine.pool, engine.resources, asked)
    # Never 304: another price may hold by now, and be at the version that the one before was at.
    return one(await store.get_by_id(engine.reader, engine.resources, resource_of(call), found, show))


def _asked(variant: str, given: dict[str, str], problems: list[Problem]) -> Asked:
    quantity = query.whole(given, "quantity", 1, QUANTITY_MOST, problems)
    if quantity == 0:
        problems.append(Problem("quantity", "OUT_OF_RANGE", f"expected a quantity from 1 to {QUANTITY_MOST}"))
    if given.get("store") is not None:
        problem = external_id_problem(given["store"], "store")
        problems.extend([problem] if problem else [])
    if "currency" in given:
        CURRENCY.read(given["currency"], "currency", problems)
    return Asked(
        variant=variant,
        at=_read(moment, given.get("at"), datetime.now(UTC), problems),
        store=given.get("store"),
        currency=given.get("currency"),
        price_list=given.get("priceList", "default"),
        quantity=quantity,
    )


def _read(read: Callable[[str], T], text: str | None, default: T, problems: list[Problem]) -> T:
    try:
        return default if text is None else read(text)
    except ValueError as error:
        problems.append(Problem("at", "INVALID_TIMESTAMP", str(error)))
        return default
