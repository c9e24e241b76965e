"""`retailos keys`: API keys made, listed and taken away."""

from datetime import datetime
from pathlib import Path

import click

from retailos import keys as api_keys
from retailos.cli.options import data_dir, database_of, output, run, settings_of, write_json
from retailos.cli.table import write_table
from retailos.keys import ListedKey, NewKey
from retailos.settings import Settings


@click.group()
def keys() -> None:
    """Make, list and revoke API keys.

    \b
    Example:
      retailos keys create --name erp --scopes customer:read,customer:write
    """


@keys.command()
@click.option("--name", required=True, help="What tells it from the others, such as the system that will use it.")
@click.option(
    "--scopes",
    default=",".join(api_keys.DEFAULT_SCOPES),
    show_default=True,
    help="What it may do: <resource>:read and <resource>:write, * for every resource, jobs:requeue, and admin:*.",
)
@data_dir
@output
def create(name: str, scopes: str, data_dir: Path | None, output: str) -> None:
    """Make a key and show it, this once.

    \b
    Examples:
      retailos keys create --name erp --output json
      retailos keys create --name operator --scopes 'admin:*'
    """
    made = run(_create(settings_of(data_dir), name, tuple(each.strip() for each in scopes.split(",") if each.strip())))
    if output == "json":
        write_json(made)
    else:
        click.echo(f"{made.key}\n\nThis is the key {made.name}, with {', '.join(made.scopes)}. It is not shown again.")


@keys.command("list")
@data_dir
@output
def list_(data_dir: Path | None, output: str) -> None:
    """List all keys, the newest first; a key itself can't be shown again.

    \b
    Example:
      retailos keys list --data-dir data
    """
    found = run(_listed(settings_of(data_dir)))
    if output == "json":
        write_json(found)
    elif not found:
        click.echo("There is no key yet; make one: retailos keys create --name NAME")
    else:
        rows = [(key.id, key.name, ", ".join(key.scopes), _day(key.created_at), _state(key)) for key in found]
        write_table(("id", "name", "scopes", "created", "state"), rows)


@keys.command()
@click.argument("key_id", metavar="ID")
@data_dir
@output
def revoke(key_id: str, data_dir: Path | None, output: str) -> None:
    """Take the key with this ID away, for good; every process refuses it within 5 s.

    \b
    Example:
      retailos keys revoke 4fK2mQ8sZ1
    """
    run(_revoke(settings_of(data_dir), key_id))
    if output == "json":
        write_json({"id": key_id, "revoked": True})
    else:
        click.echo(f"The key {key_id} is revoked.")


async def _create(settings: Settings, name: str, scopes: tuple[str, ...]) -> NewKey:
    pepper = settings.pepper.encode() if settings.pepper else None
    async with database_of(settings, "keys") as pool:
        return await api_keys.create(pool, name=name, environment=settings.environment, scopes=scopes, pepper=pepper)


async def _listed(settings: Settings) -> list[ListedKey]:
    async with database_of(settings, "keys") as pool:
        return await api_keys.listed(pool)


async def _revoke(settings: Settings, key_id: str) -> None:
    async with database_of(settings, "keys") as pool:
        await api_keys.revoke(pool, key_id)


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _state(key: ListedKey) -> str:
    if key.revoked_at:
        return f"revoked {_day(key.revoked_at)}"
    return f"until {_day(key.expires_at)}" if key.expires_at else "in use"
