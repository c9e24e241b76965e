"""What is saved to be used and never shown again: it is shown as `***`, and sent back so it stays what it was."""

from typing import Any, Protocol, runtime_checkable

from retailos.errors import Problem

#: What stands in place of a value when it is shown, and keeps the value when it is sent back.
HIDDEN = "***"


@runtime_checkable
class Hiding(Protocol):
    """A kind whose values are, or hold, secrets."""

    def hidden(self, value: Any) -> Any:
        """What is shown in place of a value."""

    def restored(self, value: Any, kept: Any, at: str, problems: list[Problem]) -> Any:
        """Put back, from what is `kept` (None: nothing is), what came back hidden; without it, that is a problem."""


def nothing_kept(at: str) -> Problem:
    """The problem of a value that came hidden where nothing is kept."""
    return Problem(at, "HIDDEN_VALUE", f"expected a value, got {HIDDEN}")
