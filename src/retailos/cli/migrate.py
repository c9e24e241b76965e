"""`retailos migrate`: brings a database to the schema of this program."""

from collections.abc import Sequence
from pathlib import Path

import click

from retailos import app
from retailos.cli.options import data_dir, output, run, settings_of, write_json
from retailos.settings import Settings


@click.command()
@data_dir
@output
def migrate(data_dir: Path | None, output: str) -> None:
    """Bring the database up to date; `retailos serve` does the same as it starts.

    Any number of processes may do so at once. What is up to date stays as it is.

    \b
    Example:
      RETAILOS_DATABASE_URL=postgresql://retailos@db/retailos retailos migrate
    """
    names = run(_migrate(settings_of(data_dir)))
    if output == "json":
        write_json({"applied": names})
    else:
        click.echo(f"Applied {counted(names)}." if names else "The database is up to date.")


def counted(names: Sequence[str]) -> str:
    """Migrations as people read them: by their names, or how many they are, as a new database has them all to come."""
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} migrations, {names[0]} to {names[-1]}"


async def _migrate(settings: Settings) -> list[str]:
    async with app.open_database(settings) as database:
        return await app.bring_up_to_date(database.url)
