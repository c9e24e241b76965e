"""What comes from others is little, locked and known; what is ours names no machine."""

import hashlib
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, Final

import pytest

from tests.facts.sources import ROOT, SRC, modules, none_of, text, tracked
from tests.facts.test_discipline import imported

RUNTIME_DISTRIBUTIONS: Final = 32
LOCKS: Final = ("requirements.lock", "requirements-dev.lock")
STATIC: Final = ROOT / SRC / "api" / "static"
#: The top of a path that exists on one person's machine only.
HOMES: Final = re.compile(r"(?<![\w.:/{}*-])/(?:home|root|Users|work)/[\w.-]")


def pinned(lock: str) -> dict[str, str]:
    """Read a lock: name → version."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text(lock), re.MULTILINE))


def canonical(requirement: str) -> str:
    """Give the name of a requirement as locks write it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement)[0]).lower()


def project() -> dict[str, Any]:
    """Read the project's own table."""
    table: dict[str, Any] = tomllib.loads(text("pyproject.toml"))["project"]
    return table


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_carries_hashes_and_no_addresses(lock: str) -> None:
    """What is installed is what was locked, from wherever it is taken."""
    written = text(lock).splitlines()
    none_of(
        (f"{lock}:{n} {line.strip()}" for n, line in enumerate(written, 1) if re.search(r"\w+://|^-", line)),
        "A lock names no address and no option; renew it with: make lock",
    )
    entries = re.split(r"^(?=[\w])", text(lock), flags=re.MULTILINE)[1:]
    none_of((each.split()[0] for each in entries if "--hash=sha256:" not in each), f"{lock}: these have no hash:")


def test_the_runtime_is_small() -> None:
    """Few distributions are needed to run, so few can break or betray."""
    names = pinned("requirements.lock")
    assert len(names) <= RUNTIME_DISTRIBUTIONS, (
        f"requirements.lock holds {len(names)} distributions, at most {RUNTIME_DISTRIBUTIONS} are allowed: "
        + ", ".join(names)
    )


def test_the_locks_hold_what_the_project_needs() -> None:
    """The locks follow pyproject.toml, and both pin the same."""
    runtime, development = (pinned(lock) for lock in LOCKS)
    dev = project()["optional-dependencies"]["dev"]
    none_of((n for n in map(canonical, project()["dependencies"]) if n not in runtime), "Not locked; run: make lock")
    none_of((name for name in map(canonical, dev) if name not in development), "Not locked for work; run: make lock")
    none_of(
        (f"{name} {runtime[name]}" for name in runtime if development.get(name) != runtime[name]),
        "requirements-dev.lock pins these otherwise; run: make lock",
    )


def test_what_is_imported_is_declared() -> None:
    """The source leans on no library that came along with another by chance."""
    declared = set(map(canonical, project()["dependencies"]))
    known = packages_distributions()
    wrong = set()
    for module in modules(SRC):
        for line, name in imported(module.tree):
            top = name.split(".")[0]
            distributions = {canonical(each) for each in known.get(top, [])}
            if top not in sys.stdlib_module_names and top != "retailos" and not distributions & declared:
                wrong.add(f"{module.path}:{line} {top}")
    none_of(sorted(wrong), "Declare these in pyproject.toml (and renew the locks), or do without:")


def vendored() -> dict[str, str]:
    """Read what VENDORED.toml lists: file → SHA-256, each of a package with its version and licence."""
    listed: dict[str, str] = {}
    for each in tomllib.loads((STATIC / "VENDORED.toml").read_text(encoding="utf-8"))["package"]:
        missing = [key for key in ("name", "version", "licence", "files") if not each.get(key)]
        none_of(missing, f"VENDORED.toml: {each.get('name', 'a package')} does not say its:")
        listed |= each["files"]
    return listed


@pytest.mark.skipif(not STATIC.is_dir(), reason="nothing is vendored")
def test_vendored_files_are_what_they_were() -> None:
    """Every file from elsewhere is listed with its version, its licence and its SHA-256, and has not changed."""
    listed = vendored()
    there = {file.relative_to(STATIC).as_posix() for file in STATIC.rglob("*") if file.is_file()} - {"VENDORED.toml"}
    none_of(sorted(there - listed.keys()), "VENDORED.toml does not list:")
    none_of(sorted(listed.keys() - there), "VENDORED.toml lists what is not there:")
    found = {name: hashlib.sha256((STATIC / name).read_bytes()).hexdigest() for name in listed}
    none_of(
        (f"{name}: listed {listed[name]}, found {found[name]}" for name in listed if listed[name] != found[name]),
        "These files are not what was vendored:",
    )


def read(file: Path) -> str:
    """Read a file as text; what is not text has no paths to look for."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_file_names_a_machine() -> None:
    """Nothing in the repository works on one machine only."""
    here = (str(ROOT) + "/", str(Path.home()) + "/")
    none_of(
        (
            f"{file.relative_to(ROOT)}:{number} {line.strip()[:80]}"
            for file in tracked()
            for number, line in enumerate(read(file).splitlines(), 1)
            if HOMES.search(line) or any(place in line for place in here if place.count("/") > 2)
        ),
        "These lines name a path of one machine:",
    )
