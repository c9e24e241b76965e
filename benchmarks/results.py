"""Results: a table for people, a file for programs, and the machine that they were measured on."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.figure import Figure
from retailos.database.tuning import memory_bytes

DIRECTORY = Path(__file__).parent / "results"
#: With more than this going on before the first figure, the figures are of a machine that does something else too.
QUIET_LOAD = 0.7


def table(figures: Sequence[Figure]) -> Table:
    """The figures as a table."""
    shown = Table(title="RetailOS benchmarks", title_justify="left", header_style="bold")
    for name in ("", "work", "measured", "ceiling, same run", "ratio", "to reach"):
        shown.add_column(name, justify="right" if name in ("measured", "ratio") else "left")
    for each in figures:
        ceiling = "" if each.ceiling is None else f"{amount(each.ceiling, each.unit)}  {each.beside}"
        ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
        work = f"{each.work}\n[dim]{each.note}[/dim]" if each.note else each.work
        shown.add_row(each.number, work, amount(each.value, each.unit), ceiling, ratio, _verdict(each))
    return shown


def amount(value: float, unit: str) -> str:
    """A value with its unit, as precise as it deserves."""
    return f"{value:,.{0 if value >= 1000 else 1 if value >= 10 else 2}f}{'' if unit.startswith('/') else ' '}{unit}"


def _verdict(figure: Figure) -> str:
    colour = {True: "green", False: "red", None: "dim"}[figure.reached]
    return f"[{colour}]{figure.reach or 'for comparison'}[/{colour}]"


def save(figures: Sequence[Figure], machine: dict[str, Any], *, quick: bool) -> Path:
    """Write one file for the run, named after its time, and give its path."""
    DIRECTORY.mkdir(exist_ok=True)
    at = datetime.now(UTC)
    path = DIRECTORY / f"{at:%Y%m%dT%H%M%SZ}.json"
    content = {"at": at, "quick": quick, "machine": machine, "figures": [each.as_json() for each in figures]}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
    return path


def machine() -> dict[str, Any]:
    """What the figures depend on, taken before the first of them."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "memory_bytes": memory_bytes(),
        "load_before": os.getloadavg()[0],
    }


def warn_if_busy(console: Console, machine: dict[str, Any]) -> None:
    """Say so where other programs take their share of the processors."""
    if machine["load_before"] > QUIET_LOAD:
        console.print(
            f"[yellow]This machine is busy already (load {machine['load_before']:.1f}); "
            "the ratios hold roughly, the figures are too low.[/yellow]"
        )
