"""Starts PostgreSQL as our child, which dies with us, and waits until it serves."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from retailos.database import initdb, place, postmaster, tuning
from retailos.database.account import Account, choose, identity, reachable_binaries
from retailos.errors import ConfigurationError

#: Recovery after a crash reads at most max_wal_size of log, which a slow disk does in some minutes.
PATIENCE_SECONDS = 900.0

_POLL_SECONDS = 0.005
_REPORT_EVERY_SECONDS = 5.0
#: A killed server's children notice within milliseconds, and hold its memory until then.
_CHILDREN_GONE_SECONDS = 15.0
_AGAIN_SECONDS = 0.05
_STILL_THERE = ("is still in use", "already exists")
_LOG_TAIL_LINES = 8
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to start, where, and how long to wait for it."""

    place: place.Place
    binaries: Path
    #: server settings for the command line, which outranks every file and ALTER SYSTEM
    options: Mapping[str, str]
    report: Callable[[str], None]
    patience_seconds: float


async def launch(plan: Plan) -> subprocess.Popen[bytes]:
    """Start the server, making its data directory if there is none; returns when it accepts connections.

    Call it only as the keeper of the place, while no server runs there. Raises ConfigurationError with what
    PostgreSQL said.
    """
    binaries, who = await asyncio.to_thread(_prepare, plan)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _CHILDREN_GONE_SECONDS
    while True:
        offset = _size(plan.place.log)
        child = spawn(plan.place.data, binaries=binaries, account=who, options=plan.options, log=plan.place.log)
        try:
            if await _until_ready(child, plan):
                return child
        except BaseException:
            child.send_signal(signal.SIGQUIT)
            child.wait()
            raise
        said = _read_from(plan.place.log, offset)
        if loop.time() > deadline or not any(words in said for words in _STILL_THERE):
            raise ConfigurationError(f"PostgreSQL could not start in {plan.place.root}. It said: {_tail(said)}")
        await asyncio.sleep(_AGAIN_SECONDS)


def spawn(
    data: Path, *, binaries: Path, account: Account | None, options: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start postgres on a data directory as a child of this process, in a session of its own; does not wait for it.

    A Ctrl-C in the terminal doesn't reach it. On Linux it shuts down fast when this process dies, however it
    dies; strictly, when the calling thread does, so call it from a thread that lives as long as the program.
    """
    settings = [f"--{name}={value}" for name, value in options.items()]
    try:
        with log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603
                [binaries / "postgres", "-D", data, *settings],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
                env=initdb.ENVIRONMENT,
                umask=0o077,
                # Runs after the change of user, which would clear the signal.
                preexec_fn=_die_with_parent(),  # noqa: PLW1509
                **identity(account),
            )
    except (OSError, subprocess.SubprocessError) as error:
        who = f" as user {account.name}" if account else ""
        raise ConfigurationError(
            f"{binaries / 'postgres'} could not be started{who}: {error}. "
            "Run this as another user, or name a server of yours with RETAILOS_DATABASE_URL."
        ) from error


def _prepare(plan: Plan) -> tuple[Path, Account | None]:
    """Make what a start needs, above all the data directory; the binaries to start, and as whom."""
    data = plan.place.data
    who = choose(data)
    tuned = tuning.settings(tuning.memory_bytes())
    place.prepare(plan.place, who, configuration=tuning.render(tuned, after=data / "postgresql.conf"))
    binaries = reachable_binaries(plan.binaries, into=plan.place.root, account=who)
    if not (data / "PG_VERSION").exists():
        initdb.initialise(data, binaries=binaries, account=who)
    initdb.check_version(data, binaries=binaries)
    postmaster.forget_stale(data)
    return binaries, who


async def _until_ready(child: subprocess.Popen[bytes], plan: Plan) -> bool:
    """Wait while it starts and recovers; False if it ended instead."""
    loop = asyncio.get_running_loop()
    begun = reported = loop.time()
    while child.poll() is None:
        found = postmaster.read(plan.place.data)
        if found and found.pid == child.pid and found.status == "ready":
            return True
        now = loop.time()
        if now - begun > plan.patience_seconds:
            raise ConfigurationError(
                f"PostgreSQL has not become ready in {plan.place.root} within {plan.patience_seconds:.0f} s; "
                f"it says why in {plan.place.log}."
            )
        if now - reported > _REPORT_EVERY_SECONDS:
            reported = now
            plan.report(f"PostgreSQL recovers what a crash left in {plan.place.root}: {now - begun:.0f} s so far.")
        await asyncio.sleep(_POLL_SECONDS)
    return False


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT))
        if os.getppid() != parent:
            os._exit(1)

    return in_child


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _read_from(log: Path, offset: int) -> str:
    with log.open("rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace")


def _tail(text: str) -> str:
    return " | ".join(text.splitlines()[-_LOG_TAIL_LINES:]) or "nothing"
