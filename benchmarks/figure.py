"""A figure: what was measured, the ceiling it stands beside, and what is to be reached."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the results; of several rounds the median counts."""

    #: As in the table of the design: `B1`.
    number: str
    work: str
    #: What was measured, round by round, in `unit`.
    values: Sequence[float]
    unit: str
    #: What it stands beside, and that in the same rounds and unit; none where only time itself is the limit.
    beside: str = ""
    ceilings: Sequence[float] = ()
    #: The least ratio to the ceiling, the least value and the most value that are to be reached.
    ratio_least: float | None = None
    least: float | None = None
    most: float | None = None
    note: str = ""

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return median(self.values)

    @property
    def ceiling(self) -> float | None:
        """The median of the ceiling's rounds."""
        return median(self.ceilings) if self.ceilings else None

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' ratios, since figure and ceiling of one round had the same machine."""
        if not self.ceilings:
            return None
        return median(value / ceiling for value, ceiling in zip(self.values, self.ceilings, strict=True))

    @property
    def reached(self) -> bool | None:
        """Whether everything that is to be reached is; None if nothing is."""
        wanted = (
            (self.ratio_least, lambda least: (self.ratio or 0) >= least),
            (self.least, lambda least: self.value >= least),
            (self.most, lambda most: self.value <= most),
        )
        verdicts = [holds(limit) for limit, holds in wanted if limit is not None]
        return all(verdicts) if verdicts else None

    @property
    def reach(self) -> str:
        """What is to be reached, in words."""
        parts = (
            (self.ratio_least, "ratio ≥ {:g}"),
            (self.least, "≥ {:,.0f}" + self.unit),
            (self.most, "≤ {:,.0f} " + self.unit),
        )
        return ", ".join(text.format(limit) for limit, text in parts if limit is not None)

    def as_json(self) -> dict[str, Any]:
        """Everything about it, for a file."""
        return {
            "figure": self.number,
            "work": self.work,
            "unit": self.unit,
            "value": self.value,
            "values": list(self.values),
            "beside": self.beside,
            "ceiling": self.ceiling,
            "ceilings": list(self.ceilings),
            "ratio": self.ratio,
            "reach": self.reach,
            "reached": self.reached,
            "note": self.note,
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share (0 to 1) of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
