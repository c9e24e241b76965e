"""Fills a database with sample records, written as any others are."""

import asyncio
from collections import defaultdict
from random import Random
from types import MappingProxyType
from typing import Final

import msgspec

from retailos.database.pool import Pool
from retailos.declare.sample import external_id, sample
from retailos.records import body
from retailos.records.writer import Writer
from retailos.resources import RESOURCES

#: How many of each, in an order in which most references lead to what is there already.
AMOUNTS: Final = MappingProxyType(
    {
        **{"client": 2, "territory": 3, "region": 8, "store": 20, "department": 40, "user": 100, "customer": 1_000},
        **{"category": 12, "product": 40, "variant": 120, "price": 120, "stockLevel": 240},
        **{"promotion": 6, "basket": 40, "order": 80, "wishlist": 40},
        **{"appointment": 60, "customerNote": 60, "interaction": 60, "task": 40},
        **{"loyaltyAccount": 100, "customerAssignment": 100},
    }
)
#: The same records in every demo.
SEED: Final = 20_261_123


async def fill(pool: Pool) -> int:
    """Write the sample records and return how many they are; those that are there already stay as they are."""
    random, known = Random(SEED), defaultdict[str, list[str]](list)  # noqa: S311
    writer = Writer(pool, RESOURCES, after_commit=lambda: None)
    try:
        for name, amount in AMOUNTS.items():
            resource = RESOURCES[name]
            writing = []
            for number in range(1, amount + 1):
                raw = msgspec.json.encode(sample(RESOURCES, resource, random, number, known))
                writing.append(writer.write(resource, body.read(RESOURCES, resource, raw, external_id=None)))
                # A record of a tree may refer to the one before it.
                if any(reference.to == name for reference in resource.references):
                    await writing.pop()
                known[name].append(external_id(resource, number))
            await asyncio.gather(*writing)
    finally:
        await writer.close()
    return sum(AMOUNTS.values())
