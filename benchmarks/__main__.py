"""`python -m benchmarks [B1 B6 …] [--quick]`: measures, prints a table and writes a file."""

import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

import click
import uvloop
from rich.console import Console

from benchmarks import bulk, deliveries, feed, imports, lag, programs, reads, results, starts, writes
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
        "B10": feed.measure,
        "B11": imports.measure,
        "B14": starts.measure,
    }
)


@click.command()
@click.argument("figures", nargs=-1, metavar="[FIGURE]...", type=click.Choice(list(FIGURES), case_sensitive=False))
@click.option("--quick", is_flag=True, help="One short round with fewer records, to see that everything works.")
def main(figures: tuple[str, ...], quick: bool) -> None:
    """Measure the FIGUREs of the design, or all of them, each beside its ceiling."""
    configure("warning")
    try:
        uvloop.run(_measure(figures or tuple(FIGURES), quick=quick))
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error


async def _measure(names: tuple[str, ...], *, quick: bool) -> None:
    console, found, machine = Console(), programs.find(), results.machine()
    results.warn_if_busy(console, machine)
    measured: list[Figure] = []
    async with set_up(found, quick=quick) as stage:
        for name in names:
            begun = time.monotonic()
            with console.status(f"{name} is measured"):
                measured += await FIGURES[name](stage)
            console.print(f"[dim]{name}: {time.monotonic() - begun:.0f} s[/dim]")
    console.print(results.table(measured))
    console.print(f"[dim]{results.save(measured, machine, quick=quick)}[/dim]", soft_wrap=True)


if __name__ == "__main__":
    main()
