"""How far a pull has come: where it goes on, and what tells the file that its lines went to from another."""

import os
from pathlib import Path
from typing import Final, Self

import msgspec

from retailos.errors import ConfigurationError

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
    #: The file's length then, and the digest of its end; None: the lines went to stdout.
    length: int | None = None
    end: str | None = None

    @classmethod
    def kept(cls, path: Path) -> Self | None:
        """The one that a file keeps; None: there is none. ConfigurationError if the file holds something else."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "it holds something else"
            raise ConfigurationError(
                f"expected in {path} how far a pull has come, but: {said}. Name another --cursor-file, or remove it to "
                "load everything again."
            ) from error

    def keep(self, path: Path) -> None:
        """Write it so that whoever reads the file, after whatever happens, has the old or the new one whole."""
        new = path.with_name(path.name + _NEW)
        with new.open("wb") as file:
            file.write(msgspec.json.encode(self) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
