"""How deliveries go together: how many records a webhook takes in one request, how large, and how long they wait."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from retailos.declare.field import Field
from retailos.declare.values import Number

SIZE_MOST: Final = 1_000
BYTES_MOST: Final = 10_000_000
BYTES_LEAST: Final = 1_000
WAIT_SECONDS_MOST: Final = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """How many records, how large together, and how long the first of them waits for others."""

    size: int = 1
    bytes_most: int = BYTES_MOST
    wait_seconds: float = 0.0

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Read it from a webhook's settings."""
        return cls(
            size=settings["batchSize"], bytes_most=settings["batchBytes"], wait_seconds=float(settings["batchWait"])
        )


_SINGLE: Final = Batching()
#: The words for it in a webhook.
FIELDS: Final = (
    Field(name="batchSize", kind=Number(1, SIZE_MOST, like=(1,)), default=_SINGLE.size, nullable=False),
    Field(name="batchBytes", kind=Number(BYTES_LEAST, BYTES_MOST), default=_SINGLE.bytes_most, nullable=False),
    Field(name="batchWait", kind=Number(0, WAIT_SECONDS_MOST, places=3), default=0, nullable=False),
)
