"""`retailos keys`: API keys made, listed, changed, rotated and taken away."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from retailos import keys as api_keys
from retailos import operations
from retailos.cli.options import data_dir, database_of, output, run, settings_of, write_json
from retailos.cli.table import write_table
from retailos.database.pool import Pool
from retailos.declare.values import moment, printed
from retailos.keys import ListedKey, NewKey
from retailos.resources import RESOURCES
from retailos.settings import Settings

T = TypeVar("T")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}.get


class Duration(click.ParamType[int]):
    """A time such as 90s, 15m, 24h or 30d, as seconds; 0 needs no unit."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it; click.UsageError says what is expected."""
        match = re.fullmatch(r"([0-9]{1,9})([smhd])|0", str(value))
        if match is None:
            self.fail(f"expected a time such as 90s, 15m, 24h or 30d, got {value!r}", param, ctx)
        return int(match[1]) * (_UNITS(match[2]) or 0) if match[1] else 0


_NETWORKS_HELP = "Where it may be used from, such as 10.20.0.0/16,2001:db8::/32."
_SCOPES_HELP = "What it may do: <resource>:read and <resource>:write, * for every resource, admin:* for the admin API."
_EXPIRES_HELP = "The time after which it opens nothing, such as 90d."


@click.group()
def keys() -> None:
    """Make, list, change, rotate and revoke API keys.

    \b
    Example:
      retailos keys create --name erp --scopes customer:read,customer:write
    """


@keys.command()
@click.option("--name", required=True, help="What tells it from the others, such as the system that will use it.")
@click.option("--scopes", default=",".join(api_keys.DEFAULT_SCOPES), show_default=True, help=_SCOPES_HELP)
@click.option("--networks", help=f"{_NETWORKS_HELP}  [default: anywhere]")
@click.option("--expires-in", type=Duration(), metavar="TIME", help=f"{_EXPIRES_HELP}  [default: never]")
@data_dir
@output
def create(data_dir: Path | None, output: str, **given: Any) -> None:
    """Make a key and show it, this once.

    \b
    Examples:
      retailos keys create --name erp --output json
      retailos keys create --name operator --scopes 'admin:*' --networks 10.20.0.0/16 --expires-in 90d
    """
    settings, body = settings_of(data_dir), _body(given)
    made = _with_pool(settings, lambda pool: operations.add_key(pool, RESOURCES, settings, body))
    _tell_new(made, output, f"This is the key {made.name}, with {', '.join(made.scopes)}.")


@keys.command("list")
@data_dir
@output
def list_(data_dir: Path | None, output: str) -> None:
    """List all keys, the newest first; a key itself can't be shown again.

    \b
    Example:
      retailos keys list --data-dir data
    """
    found = _with_pool(settings_of(data_dir), operations.list_keys)
    if output == "json":
        write_json(found)
    elif not found:
        click.echo("There is no key yet; make one: retailos keys create --name NAME")
    else:
        rows = [
            (key.id, key.name, ", ".join(key.scopes), _minute(key.created_at), _used(key), _state(key)) for key in found
        ]
        write_table(("id", "name", "scopes", "created", "last used", "state"), rows)


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--name", help="What tells it from the others.")
@click.option("--scopes", help=_SCOPES_HELP)
@click.option("--networks", help=f"{_NETWORKS_HELP} Empty: anywhere.")
@click.option("--expires-in", type=Duration(), metavar="TIME", help=_EXPIRES_HELP)
@data_dir
@output
def change(key_id: str, data_dir: Path | None, output: str, **given: Any) -> None:
    """Change the key with this ID; what is not given stays. Every process goes by it within 5 s.

    \b
    Example:
      retailos keys change 4fK2mQ8sZ1 --networks 10.20.0.0/16 --expires-in 30d
    """
    body = _body(given)
    changed = _with_pool(settings_of(data_dir), lambda pool: operations.change_key(pool, RESOURCES, key_id, body))
    _tell(changed, output, f"The key {key_id} is changed: {', '.join(changed.scopes)}, {_state(changed)}.")


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--grace", type=Duration(), default="24h", show_default=True, metavar="TIME", help="0 ends the old now.")
@data_dir
@output
def rotate(key_id: str, grace: int, data_dir: Path | None, output: str) -> None:
    """Give the key with this ID another secret and show it, this once; the old one opens on for the time of grace.

    \b
    Examples:
      retailos keys rotate 4fK2mQ8sZ1
      retailos keys rotate 4fK2mQ8sZ1 --grace 7d
    """
    settings, body = settings_of(data_dir), {"graceSeconds": grace}
    made = _with_pool(settings, lambda pool: operations.rotate_key(pool, settings, key_id, body))
    until = f"until {_minute(made.rotating_until)} UTC" if made.rotating_until else "no more"
    _tell_new(made, output, f"This is the key {made.name} from now on; the one before opens {until}.")


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
    _with_pool(settings_of(data_dir), lambda pool: operations.revoke_key(pool, key_id))
    _tell({"id": key_id, "revoked": True}, output, f"The key {key_id} is revoked.")


def _with_pool(settings: Settings, work: Callable[[Pool], Awaitable[T]]) -> T:
    async def worked() -> T:
        async with database_of(settings, "keys") as pool:
            return await work(pool)

    return run(worked())


def _body(given: dict[str, Any]) -> dict[str, Any]:
    """What the options say, as a request's body says it."""
    body = {"name": given["name"]} if given["name"] is not None else {}
    body |= {each: _words(given[each]) for each in ("scopes", "networks") if given[each] is not None}
    if given["expires_in"] is not None:
        body["expiresAt"] = printed(datetime.now(UTC) + timedelta(seconds=given["expires_in"]))
    return body


def _words(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _tell(value: Any, output: str, said: str) -> None:
    if output == "json":
        write_json(value)
    else:
        click.echo(said)


def _tell_new(made: NewKey, output: str, said: str) -> None:
    _tell(made, output, f"{made.key}\n\n{said} It is not shown again.")


def _minute(at: str) -> str:
    return f"{moment(at):%Y-%m-%d %H:%M}"


def _used(key: ListedKey) -> str:
    return _minute(key.last_used_at) if key.last_used_at else "never"


def _state(key: ListedKey) -> str:
    if key.revoked_at:
        return f"revoked {_minute(key.revoked_at)}"
    if key.expires_at:
        return f"{'until' if moment(key.expires_at) > datetime.now(UTC) else 'expired'} {_minute(key.expires_at)}"
    return f"rotating until {_minute(key.rotating_until)}" if key.rotating_until else "in use"
