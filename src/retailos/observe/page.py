"""The page of all observations, as `make docs` writes it."""

import dataclasses
import logging
from typing import Final

from retailos.observe import deliveries, process, requests, work
from retailos.observe.line import Observation

#: Everything that can be said, as each noun declares it.
OBSERVATIONS: Final[tuple[type[Observation], ...]] = tuple(
    kind
    for noun in (process, requests, deliveries, work)
    for kind in vars(noun).values()
    if isinstance(kind, type) and issubclass(kind, Observation) and kind is not Observation
)
_PAGE: Final = """\
# Observations

What the program says while it runs: one JSON line each on stderr, with `event`, `level`, `timestamp` and the fields
below. *Frequent* ones are written with `RETAILOS_LOG_REQUESTS=true` or at the level debug only. None carries a personal
value.

| event | level | when | fields |
| --- | --- | --- | --- |
"""


def reference() -> str:
    """Write the page of all observations, as Markdown; `make docs` puts it into docs/observations.md."""
    rows = []
    for kind in OBSERVATIONS:
        level = logging.getLevelName(kind.level).lower() + (", frequent" if kind.frequent else "")
        fields = ", ".join(f"`{field.name}`" for field in dataclasses.fields(kind))
        rows.append(f"| `{kind.__name__}` | {level} | {' '.join((kind.__doc__ or '').split())} | {fields} |")
    return _PAGE + "\n".join(rows) + "\n"
