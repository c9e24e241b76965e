"""A rule that is taken away, and where."""

from dataclasses import dataclass
from typing import Final

DELIVERIES: Final = "src/retailos/deliveries"
SENDING: Final = "src/retailos/sending"
REGISTER: Final = f"{DELIVERIES}/register.sql"
GATE: Final = f"{SENDING}/gate.sql"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A rule that is taken away: a text of a file that is replaced wherever it stands, and the test that misses it."""

    name: str
    path: str
    old: str
    new: str
    test: str
