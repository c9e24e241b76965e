"""Names within a record: what an item of one of its arrays says of an item of another, and must not say of none.

Both arrays may come in one request, or one of them later: what came together is held against each other when it is
read, and the record as it would be stored is by the database.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from retailos.errors import Problem

CODE = "NOT_IN_RECORD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """The values at a path within the items of an array name items of another array of the record."""

    array: str
    #: Leads through lists too: `lines.externalOrderLineId`.
    path: str
    target: str
    #: The member of the other array's items that holds their external ids.
    key: str

    @property
    def named(self) -> str:
        """The path from the record to the names."""
        return f"{self.array}.{self.path}"

    @property
    def known(self) -> str:
        """The path from the record to what may be named."""
        return f"{self.target}.{self.key}"

    def strangers(self, patch: Mapping[str, Any]) -> Iterator[Problem]:
        """Find the names of none in a patch that brings both arrays; where one did not come, nobody knows yet."""
        if patch.get(self.array) and self.target in patch:
            keys = [each.get(self.key) for each in patch[self.target] or ()]
            known = {key for key in keys if type(key) is str}
            for at, found in self._found(patch):
                if type(found) is str and found not in known:
                    yield self._problem(at)

    def told(self, patch: Mapping[str, Any], at: str, names: Collection[str]) -> list[Problem]:
        """Say where a patch, of a record that `at` points at, brings names that the stored record has no items for.

        Where it brings none of them, it takes away the items that the record goes on naming.
        """
        found = [self._problem(at + pointer) for pointer, name in self._found(patch) if name in names]
        if found or self.target not in patch:
            return found or [self._problem(at)]
        message = f"expected every {self.key} that the {self.array} of this record name; send {self.array} with it"
        return [Problem(f"{at}/{self.target}", CODE, message)]

    def _problem(self, at: str) -> Problem:
        return Problem(at, CODE, f"expected the {self.key} of one of the {self.target} of this record")

    def _found(self, patch: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
        return _found(patch.get(self.array) or (), self.path, f"/{self.array}")


def _found(items: Iterable[Any], path: str, at: str) -> Iterator[tuple[str, Any]]:
    """The values at a path within items, with their pointers; a path may lead through a list."""
    name, _, rest = path.partition(".")
    for i, item in enumerate(items):
        value = item.get(name) if type(item) is dict else None
        if not rest:
            yield f"{at}/{i}/{name}", value
        elif type(value) is list:
            yield from _found(value, rest, f"{at}/{i}/{name}")
