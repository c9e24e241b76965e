"""What a pull has written: a file of lines, and beside it how far the pull has come, never ahead of the file."""

import fcntl
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from retailos.errors import ConfigurationError

_BLOCK_BYTES: Final = 64 * 1024
_NEW: Final = ".new"


class Bookmark(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How far a pull has come."""

    #: What is pulled.
    resources: tuple[str, ...]
    #: Where the change feed is to be read on, once everything is loaded; None: nothing is loaded yet.
    cursor: str | None = None
    #: What is still to be loaded, the first of it behind the list's cursor `page`.
    loading: tuple[str, ...] = ()
    page: str | None = None


class Pulled:
    """The file that a pull writes to, or stdout, and the place of its bookmark, if it has one."""

    def __init__(self, file: BinaryIO, cursor_file: Path | None) -> None:
        self._file, self._cursor_file = file, cursor_file

    def bookmark(self) -> Bookmark | None:
        """How far the last pull came; None: there was none. ConfigurationError if the file holds something else."""
        if self._cursor_file is None:
            return None
        try:
            return msgspec.json.decode(self._cursor_file.read_bytes(), type=Bookmark)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "it holds something else"
            raise ConfigurationError(
                f"expected in {self._cursor_file} how far a pull has come, but: {said}. Name another --cursor-file, or "
                "remove it to load everything again."
            ) from error

    def add(self, lines: Iterable[bytes], bookmark: Bookmark) -> None:
        """Write lines, and once they are on the disk, remember how far they reach."""
        self._file.write(b"".join(line + b"\n" for line in lines))
        self._file.flush()
        # A pipe or a terminal has no disk.
        with suppress(OSError):
            os.fsync(self._file.fileno())
        if self._cursor_file is not None:
            _replace(self._cursor_file, msgspec.json.encode(bookmark) + b"\n")


@contextmanager
def open_pulled(path: str, cursor_file: Path | None) -> Iterator[Pulled]:
    """Open a file (`-`: stdout) to be written on; a line that a killed pull left unfinished is cut off.

    Raises ConfigurationError if it can't be written to, or another pull does so.
    """
    if path == "-":
        yield Pulled(sys.stdout.buffer, cursor_file)
        return
    try:
        with Path(path).open("a+b") as file:
            _lock(path, file)
            _cut(file)
            yield Pulled(file, cursor_file or Path(f"{path}.cursor"))
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written to: {error.strerror}.") from error


def _lock(path: str, file: BinaryIO) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigurationError(f"Another pull writes to {path}; end it, or name another file.") from None


def _cut(file: BinaryIO) -> None:
    """Cut off what stands behind the last end of a line."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        begin = max(end - _BLOCK_BYTES, 0)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        end = begin + found + 1
        if found >= 0:
            break
    file.truncate(end)


def _replace(path: Path, content: bytes) -> None:
    """Write a small file so that whoever reads it, after whatever happens, has the old or the new one whole."""
    new = path.with_name(path.name + _NEW)
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
