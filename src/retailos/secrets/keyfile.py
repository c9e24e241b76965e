"""The file in which an embedded database's directory keeps its encryption keys, for the user who runs it alone."""

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from retailos.errors import ConfigurationError
from retailos.secrets.ring import new_key, read_ring

NAME: Final = "encryption.keys"


def read_keys(directory: Path) -> str:
    """The keys of a data directory, which gets its first one if it has none.

    Raises ConfigurationError if the file can't be used, or if others could read it.
    """
    file = directory / NAME
    try:
        if not file.exists():
            _write(file, new_key() + "\n", replace=False)
        mode = file.stat().st_mode
        text = file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(
            f"The encryption keys in {file} can't be used: {reason}. Run this as the user that the file belongs to."
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigurationError(f"Others can read the encryption keys in {file}; close it: chmod 600 {file}")
    read_ring(text)
    return text


def add_key(directory: Path) -> None:
    """Put a new key before those of a data directory: whoever reads the file from now on seals with it."""
    _write(directory / NAME, f"{new_key()}\n{read_keys(directory)}", replace=True)


def _write(file: Path, text: str, *, replace: bool) -> None:
    """Write the file whole or not at all; unless it is to be replaced, whoever came first has written it."""
    new = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    if replace:
        new.replace(file)
    else:
        with contextlib.suppress(FileExistsError):
            os.link(new, file)
        new.unlink()
    directory = os.open(file.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
