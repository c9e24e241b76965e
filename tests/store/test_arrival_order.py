"""Whatever the order in which records arrive, and through however many connections: the end is the same."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import permutations
from random import Random
from typing import Any, Final

import msgspec

from retailos.records import body
from retailos.records.record import Written
from retailos.resources import RESOURCES
from tests.store.conftest import Store, stored

#: What no two records may share.
UNIQUE: Final = ("username", "sku")
VISIT: Final = {"startAt": "2026-11-01T10:00:00.000Z", "endAt": "2026-11-01T11:00:00.000Z"}
SALE: Final = {"placedAt": "2026-11-01T10:00:00.000Z", "currency": "GBP", "total": "20.00"}
LINE: Final = {"sku": "s", "name": "Jumper", "quantity": 2, "unitPrice": "10.00", "total": "20.00"}


def to(**named: str) -> dict[str, Any]:
    """References, each to the record of an external id; where its name says nothing of the resource, behind a colon."""
    return {
        name: {RESOURCES[kind or name].external_id.name: key}
        for name, (key, _, kind) in ((name, each.partition(":")) for name, each in named.items())
    }


#: What arrives: one line a record, its resource, its external id, and what it says. Each but the first refers to
#: others, some to their own kind. There are circles: rr, u, s and d (a region's manager works in a store of it), b and
#: o (a basket became an order), a and o (an appointment led to it). What an order would be taken without, its seller
#: and the variants of its lines, is what its customer and its basket wait for.
SENT: Final[tuple[tuple[str, str, Mapping[str, Any]], ...]] = (
    ("territory", "t", {"name": "UK"}),
    ("region", "r", {"name": "London", **to(territory="t")}),
    ("region", "rr", {"name": "Soho", **to(parent="r:region", manager="u:user")}),
    ("store", "s", {"name": "Covent Garden", **to(region="rr")}),
    ("department", "d", {"name": "Shoes", **to(store="s")}),
    (
        "user",
        "u",
        {"firstName": "A", "lastName": "B", "username": "ab", "stores": [{"externalStoreId": "s"}]}
        | to(currentStore="s:store", currentDepartment="d:department"),
    ),
    (
        "customer",
        "c",
        {"firstName": "Ada", **to(registeredBy="u:user", registeredAt="s:store", territory="t", region="rr")},
    ),
    ("product", "p", {"name": "Jumper"}),
    ("variant", "v", {"sku": "v", **to(product="p")}),
    (
        "basket",
        "b",
        {"currency": "GBP", "lines": [{"externalBasketLineId": "l", "quantity": 2, **to(variant="v")}]}
        | to(customer="c", store="s", order="o"),
    ),
    ("appointment", "a", VISIT | to(customer="c", store="s", user="u", order="o")),
    (
        "order",
        "o",
        SALE
        | {"lines": [{"externalOrderLineId": "l", **LINE, **to(variant="v")}]}
        | to(customer="c", store="s", soldBy="u:user", basket="b", appointment="a"),
    ),
)
#: Resources whose records are on a circle with each other.
CIRCLES: Final = (frozenset(("region", "store", "user")), frozenset(("basket", "appointment", "order")))
#: How many orders of arrival of all of them are tried, beside those of the circles.
SHUFFLED = 20


async def arrive(store: Store, turn: str, sent: tuple[str, str, Mapping[str, Any]]) -> Written:
    """Write a record of a turn, whose external ids are its own."""
    kind, name, content = sent
    raw = msgspec.json.encode(_of_turn(turn, content))
    draft = body.read(RESOURCES, RESOURCES[kind], raw, external_id=f"{name}-{turn}")
    return await store.writer.write(RESOURCES[kind], draft)


def _of_turn(turn: str, value: Any) -> Any:
    """The content with the turn in each external id and in what is unique."""
    if isinstance(value, Mapping):
        return {
            key: f"{each}-{turn}" if key.startswith("external") or key in UNIQUE else _of_turn(turn, each)
            for key, each in value.items()
        }
    return [_of_turn(turn, each) for each in value] if isinstance(value, list) else value


async def state(store: Store, turns: Sequence[str]) -> list[Any]:
    """The records of each turn, without the turn, each reference as what it names."""
    names: dict[str, str] = {}
    rows: list[tuple[str, str, int, str]] = []
    for kind, resource in RESOURCES.items():
        for row in await store.pool.fetch(f"select id, external_id, version, body::text from {resource.table}"):
            names[str(row["id"])] = row["external_id"]
            rows.append((kind, row["external_id"], row["version"], row["body"]))
    found: dict[str, list[Any]] = {turn: [] for turn in turns}
    for kind, name, version, text in rows:
        own, _, turn = name.partition("-")
        shown = reduce(lambda so_far, each: so_far.replace(*each), names.items(), text)
        found[turn].append((kind, own, version, shown.replace(f"-{turn}", "")))
    return [sorted(each) for each in found.values()]


async def same_end(store: Store, turns: Sequence[str]) -> None:
    """See that every turn ended in the same state, with every record there, nothing parked and every job done."""
    first, *others = await state(store, turns)
    assert [(kind, name) for kind, name, _, _ in first] == sorted((kind, name) for kind, name, _ in SENT)
    assert all(each == first for each in others)
    assert await store.value("select count(*) from parked") + await store.value("select count(*) from awaited") == 0
    jobs = await store.pool.fetch("select status, outcome, count(*) from job group by 1, 2")
    assert [tuple(each) for each in jobs] == [("completed", "created", len(SENT) * len(turns))]


async def test_every_order_of_arrival_ends_in_the_same_state(store: Store) -> None:
    """What is on circles, in each of its orders, and all records in a few end as if sent in the best one."""
    circles = ([sent for sent in SENT[2:] if sent[0] in kinds] for kinds in CIRCLES)
    all_shuffled = (Random(i).sample(SENT, len(SENT)) for i in range(SHUFFLED))
    orders = [*(order for each in circles for order in permutations(each)), *all_shuffled]
    for i, order in enumerate(orders):
        rest = Random(i).sample(SENT, len(SENT))
        for sent in (*order, *(each for each in rest if each not in order)):
            await arrive(store, f"turn{i}", sent)
    await same_end(store, [f"turn{i}" for i in range(len(orders))])


async def test_records_that_arrive_at_once_end_in_the_same_state(store: Store) -> None:
    """Records that arrive at the same time, through two processes with many connections each, end the same way."""
    async with stored(store.database) as other:
        for round_ in range(3):
            writes = [
                arrive((store, other)[(i + j) % 2], f"{round_}.{i}", sent)
                for i in range(5)
                for j, sent in enumerate(Random(i).sample(SENT, len(SENT)))
            ]
            Random(round_).shuffle(writes)
            await asyncio.gather(*writes)
    await same_end(store, [f"{round_}.{i}" for round_ in range(3) for i in range(5)])
