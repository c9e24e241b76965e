"""`retailos secrets`: the keys that secrets in the database are sealed with, made and changed."""

from pathlib import Path

import click

from retailos import operations
from retailos.app import DATA_DIR
from retailos.cli.command import Deployment, Told, on_deployment
from retailos.cli.group import Group
from retailos.cli.options import data_dir, settings_of
from retailos.secrets import new_key as draw
from retailos.secrets.keyfile import NAME, add_key


@click.group(cls=Group)
def secrets() -> None:
    """Change the keys that credentials in the database are sealed with.

    \b
    Example, for a database of yours: make a key, put it before the others, restart what runs, and seal anew.
      retailos secrets new-key
      RETAILOS_ENCRYPTION_KEYS='rek_<new>,rek_<old>' retailos secrets rotate
    """


@secrets.command("new-key")
@data_dir
def new_key(data_dir: Path | None) -> None:
    """Make an encryption key: printed once for a PostgreSQL of yours, put into its file for an embedded one.

    \b
    Examples:
      retailos secrets new-key
      retailos secrets new-key --data-dir data
    """
    settings = settings_of(data_dir)
    if settings.encryption_keys or settings.database_url or not (data_dir or settings.data_dir or DATA_DIR.is_dir()):
        click.echo(draw())
        click.echo("Put it first in RETAILOS_ENCRYPTION_KEYS, and keep a copy elsewhere.", err=True)
        return
    directory = settings.data_dir or DATA_DIR
    if not directory.is_dir():
        raise click.UsageError(f"There is no embedded database in {directory} yet; retailos serve makes it.")
    add_key(directory)
    click.echo(f"{directory / NAME} begins with a new key. Restart what runs, then: retailos secrets rotate")


@secrets.command()
@on_deployment
async def rotate(here: Deployment) -> Told:
    """Seal every secret with the newest key; afterwards the older keys can go, once everything runs with the newest.

    Exits with 1 if a secret is left whose key is not here.

    \b
    Example:
      retailos secrets rotate --data-dir data
    """
    done = await operations.rotate_secrets(here.pool, here.settings)
    said = f"{done.sealed} secrets are sealed anew; {done.left} are left that the newest key does not open."
    return Told(done, said, failed=done.left > 0)
