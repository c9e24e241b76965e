"""Where the demo keeps its database and its keys, and which ports it takes."""

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from retailos.database.account import check_reachable
from retailos.database.account import choose as choose_account
from retailos.database.place import at as database_at
from retailos.database.place import try_lock
from retailos.errors import ConfigurationError

ENVIRONMENT: Final = "demo"
DIRECTORY: Final = Path(".retailos-demo")
#: For root, where PostgreSQL's own user can't enter the directory that the demo is started in.
FOR_ROOT: Final = Path("/var/lib")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The directory of a demo, and why it is not the usual one, or "" if it is."""

    directory: Path
    reason: str = ""

    @property
    def keys(self) -> Path:
        """The file with the demo's keys."""
        return self.directory / "demo.json"

    @property
    def settings(self) -> Path:
        """The file with the demo's settings, for RETAILOS_CONFIG: other commands work on the demo with it."""
        return self.directory / "demo.toml"


class Keys(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a demo keeps between its starts: its keys, and the port of its receiver."""

    api_key: str
    admin_key: str
    receiver_port: int


def choose(data_dir: Path | None) -> Place:
    """The directory that was asked for, or the usual one if PostgreSQL can run there, or one where it can."""
    if data_dir:
        return Place(directory=data_dir.resolve())
    usual = DIRECTORY.resolve()
    try:
        check_reachable(usual.parent, choose_account(usual / "postgresql"))
    except ConfigurationError as error:
        # A directory of its own for each place that the demo is started in, as the usual one is.
        digest = hashlib.sha256(os.fsencode(usual)).hexdigest()[:8]
        return Place(directory=FOR_ROOT / f"retailos-demo-{digest}", reason=str(error))
    return Place(directory=usual)


def prepare(place: Place) -> None:
    """Make the directory, kept out of whichever repository it lies in; ConfigurationError if it can't be used.

    The settings in it say where the database is, whose keys are good, and that webhooks may reach this machine.
    """
    database_at(place.directory)
    written = {"data_dir": str(place.directory), "environment": ENVIRONMENT, "allow_addresses": "127.0.0.0/8"}
    # A string of JSON is one of TOML.
    lines = (f"{name} = {msgspec.json.encode(value).decode()}\n" for name, value in written.items())
    place.settings.write_text("".join(lines), encoding="utf-8")
    ignore = place.directory / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")


@contextmanager
def held(place: Place) -> Iterator[None]:
    """Hold the directory for one demo: two would turn the same webhook, each to its own receiver."""
    lock = try_lock(place.directory / "demo.lock")
    if lock is None:
        raise ConfigurationError(
            f"A demo runs in {place.directory} already. End it with Ctrl-C where it was started, or give this one a "
            "directory of its own: --data-dir DIR."
        )
    try:
        yield
    finally:
        os.close(lock)


def load_keys(place: Place) -> Keys | None:
    """What an earlier start kept; None if there was none, or it can't be read."""
    try:
        return msgspec.json.decode(place.keys.read_bytes(), type=Keys)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def save_keys(place: Place, keys: Keys) -> None:
    """Keep the keys, readable for nobody else."""
    new = place.keys.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(keys)) + b"\n")
    new.replace(place.keys)


def free_port(preferred: int) -> int:
    """The preferred TCP port of this machine if it is free, else one that is."""
    for port in (preferred, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise ConfigurationError("This machine has no free TCP port; end a program that listens on one, and start again.")
