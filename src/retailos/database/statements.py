"""Loads the SQL statements of a module from the .sql file of the same stem beside it."""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_STATEMENT = re.compile(
    r"-- name: (?P<name>[a-z_][a-z0-9_]*)\n"
    r"(?P<comment>(?:--[^\n]*\S[^\n]*\n)+)"
    r"(?P<sql>(?:(?!-- name:)[^\n]*\n?)+)"
)


class Statements:
    """The statements of one file: `statements.claim` is the text of the one named claim."""

    def __init__(self, file: Path, texts: Mapping[str, str]) -> None:
        self._file = file
        self._texts = dict(texts)

    def __getattr__(self, name: str) -> str:
        if name in self._texts:
            return self._texts[name]
        near = difflib.get_close_matches(name, self._texts, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise AttributeError(f"{self._file.name} has no statement {name!r}; {hint}It has: {', '.join(self._texts)}")

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Each name with its text, in the order of the file."""
        return iter(self._texts.items())


def load(module_file: str | Path) -> Statements:
    """The statements beside a module, which passes its `__file__`; bind them to names at its top, to fail at import.

    A statement is a line `-- name: claim`, a comment of one sentence, and the SQL up to the next name. Raises
    ValueError for a file that breaks this form.
    """
    file = Path(module_file).with_suffix(".sql")
    texts: dict[str, str] = {}
    for part in re.split(r"^(?=-- name:)", file.read_text(encoding="utf-8"), flags=re.MULTILINE):
        statement = _STATEMENT.fullmatch(part)
        sql = statement["sql"].strip().removesuffix(";").rstrip() if statement else ""
        if statement and sql and statement["name"] not in texts:
            texts[statement["name"]] = sql
        elif part.strip():
            raise ValueError(
                f"{file.name}: expected '-- name: new_name', a comment of one sentence, then SQL; got {part[:80]!r}"
            )
    return Statements(file, texts)
