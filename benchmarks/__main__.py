"""`python -m benchmarks [B1 B6 …] [--quick]`: measures, prints a table and writes a file."""

import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

import click
import uvloop
from rich.console import Console

from benchmarks import bulk, deliveries, feed, growth, imports, lag, programs, reads, results, starts, writes
from benchmarks.figure import Figure
from benchmarks.stage import Stage, set_up
from retailos.errors import ConfigurationError
from retailos.observe import configure

FIGURES: Final[Mapping[str, Callable[[Stage], Awaitable[list[Figure]]]]] = MappingProxyType(
    {
        "B1": writes.measure,
        "B2": bulk.measure,
        "B4": reads.measure_one,
        "B5": reads.measure_page,
        "B6": deliveries.measure,
        "B7": deliveries.measure_batches,
        "B8": lag.measure,
        "B9": lag.measure_busy,
        "B10": feed.measure,
        "B11": imports.measure,
        "B12": growth.measure,
        "B14": starts.measure,
    }
)
#: Measured only where it is named, for it takes as long as all others together.
APART: Final = ("B12",)


@click.command()
@click.argument("figures", nargs=-1, metavar="[FIGURE]...", type=click.Choice(list(FIGURES), case_sensitive=False))
@click.option("--quick", is_flag=True, help="One short round with fewer records, to see that everything works.")
@click.option("--records", type=int, default=1_000_000, show_default=True, help="How many records B12 grows to.")
def main(figures: tuple[str, ...], quick: bool, records: int) -> None:
    """Measure the FIGUREs of the design, or all of them but B12, each beside its ceiling."""
    configure("warning")
    try:
        named = figures or tuple(name for name in FIGURES if name not in APART)
        uvloop.run(_measure(named, quick=quick, records=records))
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error


async def _measure(names: tuple[str, ...], *, quick: bool, records: int) -> None:
    console, found, machine = Console(), programs.find(), results.machine()
    results.warn_if_busy(console, machine)
    measured: list[Figure] = []
    async with set_up(found, quick=quick, records=records) as stage:
        for name in names:
            begun = time.monotonic()
            with console.status(f"{name} is measured"):
                measured += await FIGURES[name](stage)
            console.print(f"[dim]{name}: {time.monotonic() - begun:.0f} s[/dim]")
    console.print(results.table(measured))
    console.print(f"[dim]{results.save(measured, machine, quick=quick)}[/dim]", soft_wrap=True)


if __name__ == "__main__":
    main()
