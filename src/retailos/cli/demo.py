"""`retailos demo`: everything at once, with sample data and a delivery to see."""

from pathlib import Path

import click

from retailos.app import until_asked_to_stop
from retailos.cli.options import run
from retailos.demo.place import choose
from retailos.demo.show import show
from retailos.observe import configure


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the demo's database and keys here.  [default: .retailos-demo]",
)
@click.option("--port", type=click.IntRange(0, 65535), help="The TCP port of the API.  [default: 8080, if it is free]")
def demo(data_dir: Path | None, port: int | None) -> None:
    """Start everything with sample data, write a customer, and see the webhook delivered.

    It runs an embedded database, the API, a worker, and a receiver that plays the other system, until Ctrl-C. What it
    made is there again at the next start. It listens on this machine only, and takes no settings but its options.

    \b
    Examples:
      retailos demo
      retailos demo --data-dir /var/lib/retailos-demo --port 9080
    """
    configure("warning")
    run(until_asked_to_stop(show(choose(data_dir), port)))
