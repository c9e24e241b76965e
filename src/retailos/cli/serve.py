"""`retailos serve`: the API and the worker, on an embedded database or a server of yours."""

from pathlib import Path

import click

from retailos import app
from retailos.cli.options import data_dir, run, settings_of
from retailos.observe import configure
from retailos.settings import Settings
from retailos.supervisor import Line


@click.command()
@data_dir
@click.option("--host", help="The name or address to listen at.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The TCP port; 0 takes a free one.  [default: 8080]")
@click.option("--api", is_flag=True, help="Only the API.")
@click.option("--worker", is_flag=True, help="Only the worker, which delivers to webhooks and applies imports.")
@click.option("--supervised", type=int, hidden=True)
def serve(
    data_dir: Path | None, host: str | None, port: int | None, api: bool, worker: bool, supervised: int | None
) -> None:
    """Serve the API and deliver to webhooks, until Ctrl-C or SIGTERM.

    The database is brought up to date first. Roles can run apart, on any number of machines, against one PostgreSQL.

    \b
    Examples:
      retailos serve --data-dir data --port 8080
      RETAILOS_DATABASE_URL=postgresql://retailos@db/retailos retailos serve --worker
    """
    asked: tuple[app.Role, ...] = (*(("api",) if api else ()), *(("worker",) if worker else ()))
    if supervised is not None:
        line = Line(supervised)
        settings = line.settings()
        _configure(settings)
        run(app.until_asked_to_stop(app.run_supervised(asked[0], settings, line.ready)))
    else:
        settings = settings_of(data_dir, host=host, port=port)
        _configure(settings)
        run(app.serve(settings, asked or app.ROLES, _announce))


def _configure(settings: Settings) -> None:
    configure(settings.log_level, frequent=settings.log_requests)


def _announce(address: str) -> None:
    click.echo(f"RetailOS serves {address}/v2/public, documented at {address}/v2/public/docs; Ctrl-C stops it.")
