"""The project's own files as the facts tests read them, and how they report what breaks a rule."""

import ast
import functools
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
SRC: Final = "src/retailos"
_MADE: Final = frozenset({".git", ".venv", "__pycache__", "build", "dist", "results"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file: its path from the root, its text, and its syntax tree."""

    path: str
    text: str
    tree: ast.Module


def modules(*folders: str) -> tuple[Module, ...]:
    """Read all Python files below these folders; a folder that is not there yet has none."""
    return tuple(_read(file) for folder in folders for file in sorted((ROOT / folder).rglob("*.py")))


@functools.cache
def _read(file: Path) -> Module:
    path, text = file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")
    return Module(path, text, ast.parse(text, path))


def everything() -> tuple[Module, ...]:
    """Read all Python files: the source, the tests, the benchmarks and the suite of hostile receivers."""
    return modules(SRC, "tests", "benchmarks", "conformance")


def text(path: str) -> str:
    """Read a file of the project that must be there."""
    file = ROOT / path
    if not file.is_file():
        pytest.fail(f"{path} is missing.", pytrace=False)
    return file.read_text(encoding="utf-8")


def tracked() -> Iterator[Path]:
    """Give every file that is, or would be, in the repository; without git, all but what is made by tools."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if listed.returncode == 0:
        names = {name for name in listed.stdout.decode().split("\0") if name}
        yield from (ROOT / name for name in sorted(names) if (ROOT / name).is_file())
    else:
        for file in sorted(ROOT.rglob("*")):
            inner = file.relative_to(ROOT).parts
            if file.is_file() and not any(part in _MADE or part.endswith("_cache") for part in inner):
                yield file


def functions(tree: ast.AST) -> Iterator[Function]:
    """Give every function and method, nested ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def parts(name: str) -> tuple[str, ...]:
    """Split a name into its words, in lower case: `PayloadTooLarge` and `payload_too_large` alike."""
    return tuple(word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name))


def is_one_sentence(docstring: str | None) -> bool:
    """Tell whether the first paragraph is one sentence with its full stop."""
    first = " ".join((docstring or "").strip().split("\n\n")[0].split())
    return first.endswith(".") and not re.search(r"\.\s+[A-Z]", first)


def none_of(broken: Iterable[str], rule: str) -> None:
    """Fail with the rule and every place that breaks it, one a line."""
    places = list(broken)
    if places:
        pytest.fail("\n".join([rule, *(f"  - {place}" for place in places)]), pytrace=False)
