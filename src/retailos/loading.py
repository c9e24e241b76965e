"""Loading modules without looking for garbage meanwhile, so that a command or a process starts sooner."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def undisturbed() -> Iterator[None]:
    """For a block that loads modules: what they make is kept for good, and was a fifth of a start to look through."""
    gc.disable()
    try:
        yield
    finally:
        # What is frozen is not looked through later either.
        gc.freeze()
        gc.enable()
