"""`retailos keys`: API keys made, listed, changed, rotated and taken away."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from retailos import keys as api_keys
from retailos import operations
from retailos.cli.command import Deployment, Told, listed, on_deployment
from retailos.cli.group import Group
from retailos.declare.values import moment, printed
from retailos.keys import ListedKey, NewKey
from retailos.resources import RESOURCES

_ANYWHERE = "anywhere"
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


class Networks(click.ParamType[list[str]]):
    """Networks between commas, or `anywhere`; nothing is what a variable of the shell is that nobody has set."""

    name = "networks"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Read them; click.UsageError where there is none, or the word stands among others."""
        words = _words(value)
        if words == [_ANYWHERE]:
            return []
        if not words or _ANYWHERE in words:
            self.fail(f"expected networks between commas, or the one word {_ANYWHERE}, got {value!r}", param, ctx)
        return words


_NETWORKS_HELP = "Where it may be used from, such as 10.20.0.0/16,2001:db8::/32, or anywhere."
_SCOPES_HELP = "What it may do: <resource>:read and <resource>:write, * for every resource, admin:* for the admin API."
_EXPIRES_HELP = "The time after which it opens nothing, such as 90d."


@click.group(cls=Group)
def keys() -> None:
    """Make, list, change, rotate and revoke API keys.

    \b
    Example:
      retailos keys create --name erp --scopes customer:read,customer:write
    """


@keys.command()
@click.option("--name", required=True, help="What tells it from the others, such as the system that will use it.")
@click.option("--scopes", default=",".join(api_keys.DEFAULT_SCOPES), show_default=True, help=_SCOPES_HELP)
@click.option("--networks", type=Networks(), help=f"{_NETWORKS_HELP}  [default: anywhere]")
@click.option("--expires-in", type=Duration(), metavar="TIME", help=f"{_EXPIRES_HELP}  [default: never]")
@on_deployment
async def create(here: Deployment, **given: Any) -> Told:
    """Make a key and show it, this once.

    \b
    Examples:
      retailos keys create --name erp --output json
      retailos keys create --name operator --scopes 'admin:*' --networks 10.20.0.0/16 --expires-in 90d
    """
    made = await operations.add_key(here.pool, RESOURCES, here.settings, _body(given))
    return _new(made, f"This is the key {made.name}, with {', '.join(made.scopes)}.")


@keys.command("list")
@on_deployment
async def list_(here: Deployment) -> Told:
    """List all keys, the newest first; a key itself can't be shown again.

    \b
    Example:
      retailos keys list --data-dir data
    """
    nothing = "There is no key yet; make one: retailos keys create --name NAME"
    columns = ("id", "name", "scopes", "created", "last used", "state")
    return listed(await operations.list_keys(here.pool), columns, _row, nothing)


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--name", help="What tells it from the others.")
@click.option("--scopes", help=_SCOPES_HELP)
@click.option("--networks", type=Networks(), help=_NETWORKS_HELP)
@click.option("--expires-in", type=Duration(), metavar="TIME", help=_EXPIRES_HELP)
@on_deployment
async def change(here: Deployment, key_id: str, **given: Any) -> Told:
    """Change the key with this ID; what is not given stays. Every process goes by it within 5 s.

    \b
    Example:
      retailos keys change 4fK2mQ8sZ1 --networks 10.20.0.0/16 --expires-in 30d
    """
    changed = await operations.change_key(here.pool, RESOURCES, key_id, _body(given))
    return Told(changed, f"The key {key_id} is changed: {', '.join(changed.scopes)}, {_state(changed)}.")


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--grace", type=Duration(), default="24h", show_default=True, metavar="TIME", help="0 ends the old now.")
@on_deployment
async def rotate(here: Deployment, key_id: str, grace: int) -> Told:
    """Give the key with this ID another secret and show it, this once; the old one opens on for the time of grace.

    \b
    Examples:
      retailos keys rotate 4fK2mQ8sZ1
      retailos keys rotate 4fK2mQ8sZ1 --grace 7d
    """
    made = await operations.rotate_key(here.pool, here.settings, key_id, {"graceSeconds": grace})
    until = f"until {_minute(made.rotating_until)} UTC" if made.rotating_until else "no more"
    return _new(made, f"This is the key {made.name} from now on; the one before opens {until}.")


@keys.command()
@click.argument("key_id", metavar="ID")
@on_deployment
async def revoke(here: Deployment, key_id: str) -> Told:
    """Take the key with this ID away, for good; every process refuses it within 5 s.

    \b
    Example:
      retailos keys revoke 4fK2mQ8sZ1
    """
    await operations.revoke_key(here.pool, key_id)
    return Told({"id": key_id, "revoked": True}, f"The key {key_id} is revoked.")


def _body(given: dict[str, Any]) -> dict[str, Any]:
    """What the options say, as a request's body says it."""
    body = {"name": given["name"]} if given["name"] is not None else {}
    body |= {"scopes": _words(given["scopes"])} if given["scopes"] is not None else {}
    body |= {"networks": given["networks"]} if given["networks"] is not None else {}
    if given["expires_in"] is not None:
        body["expiresAt"] = printed(datetime.now(UTC) + timedelta(seconds=given["expires_in"]))
    return body


def _words(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _new(made: NewKey, said: str) -> Told:
    return Told(made, f"{made.key}\n\n{said} It is not shown again.")


def _row(key: ListedKey) -> tuple[str, ...]:
    return key.id, key.name, ", ".join(key.scopes), _minute(key.created_at), _used(key), _state(key)


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
