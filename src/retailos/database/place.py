"""The directory of an embedded server: what lies where in it, who may touch it, and who keeps it."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from retailos.database.account import Account, check_reachable
from retailos.errors import ConfigurationError

#: sockaddr_un holds 104 bytes on macOS and 108 on Linux, with the closing NUL.
SOCKET_PATH_MAX_BYTES = 103
LOG_MAX_BYTES = 10 * 1024 * 1024
_LONGEST_SOCKET_NAME = ".s.PGSQL.65535"
_LOCK_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The paths of one --data-dir."""

    root: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.root / "postgresql"

    @property
    def configuration(self) -> Path:
        """The server's configuration; beside its data, as root does not write where another user could put links."""
        return self.root / "postgresql.conf"

    @property
    def log(self) -> Path:
        """What PostgreSQL writes about itself; the previous 10 MB are beside it."""
        return self.root / "log" / "postgresql.log"

    @property
    def starting(self) -> Path:
        """Locked while a process starts, joins or stops the server: one at a time."""
        return self.root / "start.lock"

    @property
    def keeper(self) -> Path:
        """Locked by the process that keeps the server, for as long as it lives."""
        return self.root / "owner.lock"

    @property
    def sockets(self) -> Path:
        """The private directory of the socket; outside of the root if the root's path is too long for a socket."""
        run = self.root / "run"
        if len(os.fsencode(run / _LONGEST_SOCKET_NAME)) <= SOCKET_PATH_MAX_BYTES:
            return run
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()
        return Path(tempfile.gettempdir()) / f"retailos-{digest[:16]}"


def at(data_dir: Path) -> Place:
    """The place of a data directory, which is made if there is none. Raises ConfigurationError if it can't be used."""
    place = Place(root=data_dir.resolve())
    try:
        if not place.root.exists():
            place.root.mkdir(parents=True)
            # The account that runs PostgreSQL has to pass, nobody has to list.
            place.root.chmod(0o711 if os.geteuid() == 0 else 0o700)
        os.close(os.open(place.starting, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ConfigurationError(
            f"The data directory {place.root} can't be used: {error.strerror}. "
            "Choose another --data-dir, or run this as the user that it belongs to."
        ) from error
    return place


def prepare(place: Place, account: Account | None, *, configuration: str) -> None:
    """Make the directories and the configuration that a start needs, and sweep out what interrupted starts left.

    Call it only as the keeper, while no server runs.
    """
    check_reachable(place.root, account)
    for leftover in place.root.glob("postgresql*.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    place.log.parent.mkdir(mode=0o700, exist_ok=True)
    if place.log.exists() and place.log.stat().st_size > LOG_MAX_BYTES:
        place.log.replace(place.log.with_suffix(".log.1"))
    _make_private(place.sockets, account)
    for leftover in place.sockets.glob(".s.PGSQL.*"):
        leftover.unlink()
    new = place.configuration.with_suffix(".conf.new")
    new.write_text(configuration)
    new.chmod(0o644)
    new.replace(place.configuration)


def tidy(place: Place) -> None:
    """Remove what lies outside of the root, after the server has stopped."""
    if place.sockets.parent != place.root:
        with contextlib.suppress(OSError):
            place.sockets.rmdir()


def try_lock(path: Path) -> int | None:
    """Lock a file for this process; the descriptor that holds the lock until it is closed, None if another has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextlib.asynccontextmanager
async def locked(path: Path, *, patience_seconds: float) -> AsyncIterator[None]:
    """Hold the lock of a file, waiting for others to release it; ConfigurationError when patience ends."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_seconds
    while (descriptor := try_lock(path)) is None:
        if loop.time() > deadline:
            raise ConfigurationError(
                f"Another process has been starting or stopping PostgreSQL in {path.parent} "
                f"for {patience_seconds:.0f} s; see log/postgresql.log there, end that process, and start again."
            )
        await asyncio.sleep(_LOCK_POLL_SECONDS)
    try:
        yield
    finally:
        os.close(descriptor)


def _make_private(directory: Path, account: Account | None) -> None:
    uid, gid = (account.uid, account.gid) if account else (os.geteuid(), os.getegid())
    if not directory.exists():
        directory.mkdir(mode=0o700)
        os.chown(directory, uid, gid)
    status = directory.lstat()
    # Beside the root it may lie in the system's temporary directory, where anybody could have made it before us.
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid or status.st_mode & 0o077:
        raise ConfigurationError(
            f"PostgreSQL's socket needs {directory} for itself alone, and it belongs to somebody else or is open to "
            "others; remove it, or choose a shorter --data-dir."
        )
    check_reachable(directory, account)
