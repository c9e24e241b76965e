"""Who runs PostgreSQL, which refuses root, and whether that user can reach what it needs."""

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from retailos.errors import ConfigurationError

_CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An unprivileged user of this machine."""

    name: str
    uid: int
    gid: int


class Identity(TypedDict, total=False):
    """The arguments of subprocess that make a child run as an account."""

    user: int
    group: int
    extra_groups: list[int]


def identity(account: Account | None) -> Identity:
    """The arguments that start a child as this account; none for None, this process' own user."""
    return Identity(user=account.uid, group=account.gid, extra_groups=[]) if account else Identity()


def choose(data: Path) -> Account | None:
    """Who shall run PostgreSQL on a data directory; None is this process' own user.

    As root: the owner of the directory, else `postgres`, else `nobody`. Raises ConfigurationError if a
    directory that exists can't be run by anyone this process may become.
    """
    owner = data.stat() if data.exists() else None
    if os.geteuid() != 0:
        if owner and owner.st_uid != os.geteuid():
            raise ConfigurationError(
                f"{data} belongs to user {_name(owner.st_uid)}, and only its owner can run PostgreSQL on it; "
                f"run this as {_name(owner.st_uid)}, or choose another --data-dir."
            )
        return None
    if owner and owner.st_uid != 0:
        return Account(name=_name(owner.st_uid), uid=owner.st_uid, gid=owner.st_gid)
    account = _unprivileged()
    if owner and any(data.iterdir()):
        raise ConfigurationError(
            f"{data} belongs to root, and PostgreSQL refuses to run as root; "
            f"give it away: chown -R {account.name} {data}"
        )
    return account


def check_reachable(directory: Path, account: Account | None) -> None:
    """Raise ConfigurationError, naming the first directory in the way, if the account can't enter this one."""
    barrier = _barrier(directory, account) if account else None
    if account and barrier:
        raise ConfigurationError(
            f"PostgreSQL refuses to run as root, so {account.name} is to run it; but that user can't enter "
            f"{barrier}. Choose a --data-dir that everybody can enter, such as /var/lib/retailos, "
            f"or open it (chmod o+x {barrier}), or run this as another user than root."
        )


def reachable_binaries(binaries: Path, *, into: Path, account: Account | None) -> Path:
    """PostgreSQL's bin directory where the account can run it: the given one, or a copy made once under `into`.

    A copy is hard links where the file system allows it. It is complete or absent, never half made.
    """
    if account is None or _barrier(binaries / "postgres", account) is None:
        return binaries
    answer = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    copy = into / f"postgresql-{answer.stdout.split()[2]}"
    installation = binaries.parent
    package = installation.parent
    if not copy.exists():
        making = Path(tempfile.mkdtemp(prefix=f"{copy.name}.new-", dir=into))
        _copy_tree(installation, making / package.name / installation.name)
        # Wheels keep bundled libraries beside or inside the package, and binaries find them by the relative path.
        for bundled in (package / ".dylibs", package.parent / f"{package.name}.libs"):
            if bundled.is_dir():
                _copy_tree(bundled, making / bundled.relative_to(package.parent))
        _open_directories(making)
        making.rename(copy)
    return copy / package.name / installation.name / binaries.name


def _unprivileged() -> Account:
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise ConfigurationError(
        "PostgreSQL refuses to run as root, and this machine has neither a user postgres nor a user nobody; "
        "add one (useradd --system postgres), or run this as another user than root."
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _barrier(path: Path, account: Account) -> Path | None:
    """The first of the path's parents, or the path itself, that the account can't enter (a file: read and run)."""
    for step in (*reversed(path.parents), path):
        needed = stat.S_IXOTH if step.is_dir() else stat.S_IXOTH | stat.S_IROTH
        status = step.stat()
        shift = 6 if status.st_uid == account.uid else 3 if status.st_gid == account.gid else 0
        if (status.st_mode >> shift) & needed != needed:
            return step
    return None


def _copy_tree(source: Path, target: Path) -> None:
    # Development files are a third of the size and nothing runs them.
    shutil.copytree(source, target, copy_function=_link, ignore=shutil.ignore_patterns("include", "pgxs", "*.a"))


def _link(source: str, target: str) -> str:
    """A hard link if everybody may read the source and it is on this file system; else a copy that all may read."""
    original = os.path.realpath(source)
    mode = os.stat(original).st_mode
    if mode & stat.S_IROTH:
        try:
            os.link(original, target)
            return target
        except OSError:
            pass
    shutil.copyfile(original, target)
    os.chmod(target, 0o755 if mode & stat.S_IXUSR else 0o644)
    return target


def _open_directories(root: Path) -> None:
    root.chmod(0o755)
    for directory in root.rglob("*/"):
        directory.chmod(0o755)
