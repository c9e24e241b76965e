"""What a running PostgreSQL says of itself in postmaster.pid: its process, where it listens, how far it is."""

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

_LINES = 8
_PS = "/bin/ps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Postmaster:
    """The process that a data directory names as its server, alive or not."""

    pid: int
    port: int
    #: the directory of its Unix socket; empty in the first moments of a start
    socket_dir: str
    #: "starting" (which includes recovery), "ready", "stopping", or empty in the first moments of a start
    status: str


def read(data: Path) -> Postmaster | None:
    """What postmaster.pid in the data directory says; None without that file, or while it is being written."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    lines += [""] * (_LINES - len(lines))
    if not (lines[0].isdecimal() and lines[3].isdecimal()):
        return None
    return Postmaster(pid=int(lines[0]), port=int(lines[3]), socket_dir=lines[4], status=lines[7].strip())


def find(data: Path) -> Postmaster | None:
    """The live server of a data directory; None if there is none, whatever a stale postmaster.pid says."""
    found = read(data)
    return found if found and is_alive(found.pid, data) else None


def is_alive(pid: int, data: Path) -> bool:
    """Whether this process is a PostgreSQL on that data directory: pids are used again, in containers most of all."""
    return f" -D {data} " in _command_line(pid)


def forget_stale(data: Path) -> None:
    """Remove a postmaster.pid whose pid now belongs to a stranger, for which PostgreSQL would refuse to start.

    Call it only as the one process that may start this data directory.
    """
    found = read(data)
    words = _command_line(found.pid) if found else ""
    if words and "postgres" not in words:
        (data / "postmaster.pid").unlink(missing_ok=True)


def _command_line(pid: int) -> str:
    """The words of a process, a space after each; empty for one that is gone or a zombie.

    The working directory would be the better proof, but root without CAP_SYS_PTRACE (Docker's default) can't read it.
    """
    if platform.system() == "Linux":
        try:
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" "))
        except (FileNotFoundError, ProcessLookupError):
            return ""
    answer = subprocess.run([_PS, "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, check=False)  # noqa: S603
    return os.fsdecode(answer.stdout).replace("\n", " ")
