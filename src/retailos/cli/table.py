"""Writes a table for people: as wide as their terminal, or, for a pipe, as wide as what is in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table as Drawn

#: Nothing is folded below this; a URL has at most 2,048 characters.
WIDE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under the names of their columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def counted(count: int, kind: str = "") -> str:
    """So many deliveries, of a kind, as people read it: `1 failed delivery`, `2,000 deliveries`."""
    return " ".join(filter(None, (f"{count:,}", kind, "delivery" if count == 1 else "deliveries")))


def write_table(told: Table) -> None:
    """Write a table to stdout."""
    table = Drawn(box=None, header_style="bold", pad_edge=False)
    for name in told.columns:
        table.add_column(name, overflow="fold")
    for row in told.rows:
        table.add_row(*row)
    console = Console(highlight=False)
    (console if console.is_terminal else Console(highlight=False, width=WIDE)).print(table)
