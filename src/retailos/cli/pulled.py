"""What a pull has written: a file of lines, and beside it how far the pull has come, never ahead of the file."""

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

import msgspec

from retailos.cli.bookmark import Bookmark
from retailos.errors import ConfigurationError

STDOUT: Final = "-"
_BLOCK_BYTES: Final = 64 * 1024
#: By so much of its end a file is known again: lines have ids, versions and moments, so no other file ends alike.
_END_BYTES: Final = 4096
_RELOAD: Final = "Load everything again: retailos pull --reload."


class Pulled:
    """The file that a pull writes to, or stdout, the place of its bookmark, and how far the last pull came, if any."""

    def __init__(self, file: FileIO, length: int | None, cursor_file: Path | None, bookmark: Bookmark | None) -> None:
        self.bookmark = bookmark
        self._file, self._cursor_file = file, cursor_file
        #: None: it is stdout.
        self._length = length

    def add(self, lines: Iterable[bytes], bookmark: Bookmark) -> None:
        """Write lines, and once they are on the disk, remember how far they reach."""
        content = b"".join(line + b"\n" for line in lines)
        if self._length is not None:
            found = os.fstat(self._file.fileno())
            if found.st_size < self._length or not found.st_nlink:
                raise ConfigurationError(f"The file was removed or cut while this pull wrote to it. {_RELOAD}")
        _write(self._file, content)
        # A pipe or a terminal has no disk.
        with suppress(OSError):
            os.fsync(self._file.fileno())
        if self._length is not None:
            self._length = os.fstat(self._file.fileno()).st_size
            bookmark = msgspec.structs.replace(bookmark, length=self._length, end=_end(self._file, self._length))
        if self._cursor_file is not None:
            bookmark.keep(self._cursor_file)


@contextmanager
def open_pulled(path: str, cursor_file: Path | None, *, reload: bool) -> Iterator[Pulled]:
    """Open a file (`-`: stdout) to be written on; a line that a killed pull left unfinished is cut off.

    With `reload` how far the last pull came counts for nothing. Raises ConfigurationError if the file can't be written
    to, another pull does so, or it is not the one that the last pull has left.
    """
    if path == STDOUT:
        with _failures("stdout"), open(1, "wb", buffering=0, closefd=False) as file:
            bookmark = None if reload or cursor_file is None else Bookmark.kept(cursor_file)
            yield Pulled(file, None, cursor_file, bookmark)
        return
    kept = cursor_file or Path(f"{path}.cursor")
    with _failures(path), _opened(path, kept, reload=reload) as file:
        _lock(path, file)
        bookmark = None if reload else Bookmark.kept(kept)
        if bookmark:
            _check_left(path, file, bookmark)
        yield Pulled(file, _cut(file), kept, bookmark)


@contextmanager
def _failures(path: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        # Who reads has had enough, as `head` has.
        raise
    except OSError as error:
        raise ConfigurationError(f"{error.filename or path} can't be written to: {error.strerror}.") from error


def _opened(path: str, cursor_file: Path, *, reload: bool) -> FileIO:
    made = 0 if cursor_file.exists() and not reload else os.O_CREAT
    try:
        number = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | made, 0o666)
    except FileNotFoundError:
        if made:
            raise
        raise ConfigurationError(f"{path} is gone, but {cursor_file} says that lines are in it. {_RELOAD}") from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise ConfigurationError(
            f"{path} is no file but a pipe or a device; write there with: retailos pull - > {path}"
        )
    return FileIO(number, "a+")


def _check_left(path: str, file: FileIO, bookmark: Bookmark) -> None:
    """Raise ConfigurationError where lines that the bookmark counts as written are not in the file."""
    size = os.fstat(file.fileno()).st_size
    if bookmark.length is None:
        said = "its cursor is that of lines which went to stdout"
    elif size < bookmark.length:
        said = f"the last pull left {bookmark.length:,} bytes in it, now it has {size:,}"
    elif _end(file, bookmark.length) != bookmark.end:
        said = "what the last pull left in it is not there"
    else:
        return
    raise ConfigurationError(f"{path} is not as its cursor says: {said}. Put the right file there; or: {_RELOAD}")


def _end(file: FileIO, length: int) -> str:
    """The digest of what stands before a place in a file."""
    size = min(length, _END_BYTES)
    return hashlib.sha256(os.pread(file.fileno(), size, length - size)).hexdigest()


def _lock(path: str, file: FileIO) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigurationError(f"Another pull writes to {path}; end it, or name another file.") from None


def _cut(file: FileIO) -> int:
    """Cut off what stands behind the last end of a line; give the length that is left."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        begin = max(end - _BLOCK_BYTES, 0)
        found = os.pread(file.fileno(), end - begin, begin).rfind(b"\n")
        end = begin + found + 1
        if found >= 0:
            break
    file.truncate(end)
    return end


def _write(file: FileIO, content: bytes) -> None:
    """Write all of it at once: what a buffer kept would be written again, and fail again, when the program ends."""
    left = memoryview(content)
    while left:
        written = file.write(left)
        if written is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        left = left[written:]
