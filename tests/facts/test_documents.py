"""The documents can't drift from the code: each is generated, or compared with what it tells about."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import click
import pytest

from retailos import settings
from retailos.cli import main
from retailos.observe.page import OBSERVATIONS, reference
from tests.facts.sources import ROOT, functions, is_one_sentence, modules, none_of, text

SHARED: Final = ROOT.parent / "shared"
DECISIONS: Final = SHARED / "contract" / "decisions.md"
#: The pages that say what proves each row, and the rows that they have where what they follow is not beside us.
PROVING: Final = {
    "docs/contract.md": range(1, 42),
    "docs/api-coverage.md": range(1, 53),
    "docs/delivery-coverage.md": range(1, 72),
    "docs/convergence.md": range(1, 12),
}
#: Which of them follow a page of the design, a row for each of its lines.
FOLLOWING: Final = {
    "docs/api-coverage.md": SHARED / "design" / "api.md",
    "docs/delivery-coverage.md": SHARED / "design" / "delivery.md",
}
NAMED_TEST: Final = re.compile(r"(tests/[\w/]+\.py)((?:::\w+)+)")
#: What proves a figure is the program that measures it.
NAMED_BENCHMARK: Final = re.compile(r"benchmarks/\w+\.py")
ITEM: Final = re.compile(r"^(?:- |\d+\. )")


def test_the_page_of_settings_is_current() -> None:
    """An operator reads in docs/settings.md what the program takes."""
    assert text("docs/settings.md") == settings.reference(), "docs/settings.md is out of date; run: make docs"


def test_the_page_of_observations_is_current() -> None:
    """An operator reads in docs/observations.md what the program says."""
    assert text("docs/observations.md") == reference(), "docs/observations.md is out of date; run: make docs"


def test_every_observation_is_one_sentence() -> None:
    """Each observation says in one sentence when it is made."""
    none_of(
        (kind.__name__ for kind in OBSERVATIONS if not is_one_sentence(kind.__doc__)),
        "An observation's docstring is one sentence, with its full stop.",
    )


def test_users_are_told_what_changes() -> None:
    """What the next release brings is written down as it is made."""
    assert re.search(r"^## \[?Unreleased\]?", text("CHANGELOG.md"), re.MULTILINE), (
        "CHANGELOG.md needs a section: ## Unreleased"
    )


def rows(page: str) -> dict[int, str]:
    """Read the numbered rows of a Markdown table: number → the rest of the row."""
    return {int(number): rest for number, rest in re.findall(r"^\| *(\d+) *\|(.*)\| *$", page, re.MULTILINE)}


def named_tests(row: str) -> Iterator[tuple[str, str]]:
    """Give the tests that a row names, as `tests/folder/test_file.py::test_name`: file and name."""
    for path, names in NAMED_TEST.findall(row):
        yield path, names.rpartition("::")[2]


def told_lines(page: str) -> Iterator[str]:
    """Give what a page tells in its sections: rows of tables, by their first cell, items of lists and paragraphs."""
    before = heading = ""
    for line in page.splitlines():
        if line.startswith("## "):
            heading = line
        elif line.startswith("|"):
            if before.startswith("|") and set(line) - set("|- "):
                yield line.removeprefix("| ").split(" | ")[0]
        elif heading and (ITEM.match(line) or (line.strip() and not line.startswith(" ") and not before.strip())):
            yield ITEM.sub("", line)
        before = line


def decided(page: str) -> set[int]:
    """The numbers of the rows that a page must have: as many as there are in what it follows."""
    if page == "docs/contract.md" and DECISIONS.is_file():
        return set(rows(DECISIONS.read_text(encoding="utf-8")))
    if page in FOLLOWING and FOLLOWING[page].is_file():
        return set(range(1, 1 + len(list(told_lines(FOLLOWING[page].read_text(encoding="utf-8"))))))
    return set(PROVING[page])


@pytest.mark.parametrize("page", PROVING)
def test_what_was_decided_is_proved(page: str) -> None:
    """Every row has the test that proves it, or says later, and there is a row for all that was decided."""
    expected, proved = decided(page), rows(text(page))
    none_of((str(each) for each in sorted(expected - proved.keys())), f"{page} has no row for these numbers:")
    none_of((str(each) for each in sorted(proved.keys() - expected)), f"{page} has rows nobody decided on:")
    none_of(
        (
            f"{number}: {row.strip()[:80]}"
            for number, row in proved.items()
            if not any(named_tests(row)) and not NAMED_BENCHMARK.search(row) and not re.search(r"\blater\b", row)
        ),
        f"These rows of {page} name no test (tests/file.py::test_name), no benchmark, and do not say later:",
    )


@pytest.mark.parametrize("page", PROVING)
def test_rows_stand_in_their_order(page: str) -> None:
    """A row is found by its number."""
    numbers = list(rows(text(page)))
    none_of(
        (str(number) for before, number in pairwise(numbers) if number < before),
        f"These rows of {page} stand behind a later one:",
    )


@pytest.mark.skipif(not SHARED.is_dir(), reason="the design is not beside the project")
@pytest.mark.parametrize("page", FOLLOWING)
def test_the_lines_of_the_design_are_called_as_they_are(page: str) -> None:
    """Each row of a page that follows the design begins as the line that it stands for."""
    lines = list(told_lines(FOLLOWING[page].read_text(encoding="utf-8")))
    proved = rows(text(page))
    called = {number: row.split(" | ")[0].strip().removesuffix("…").strip() for number, row in proved.items()}
    none_of(
        (
            f"{n}: {called[n]} (the design has: {line[:60]})"
            for n, line in enumerate(lines, 1)
            if n in called and not (called[n] and line.startswith(called[n]))
        ),
        f"{page} calls these rows otherwise than the design:",
    )


@pytest.mark.parametrize("page", PROVING)
def test_tests_that_are_named_exist(page: str) -> None:
    """A row can't rest on a test that is gone."""
    known = {(module.path, node.name) for module in modules("tests") for node in functions(module.tree)}
    none_of(
        (
            f"{number}: {path}::{name}"
            for number, row in rows(text(page)).items()
            for path, name in named_tests(row)
            if (path, name) not in known
        ),
        f"{page} names tests that do not exist:",
    )
    none_of(
        (
            f"{number}: {path}"
            for number, row in rows(text(page)).items()
            for path in NAMED_BENCHMARK.findall(row)
            if not (ROOT / path).is_file()
        ),
        f"{page} names benchmarks that do not exist:",
    )


def targets() -> dict[str, str]:
    """Read the tasks of the Makefile with what their help says."""
    makefile = text("Makefile")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    helped = dict(re.findall(r"^(\w+):.*?## (.+)$", makefile, re.MULTILINE))
    return {name: helped.get(name, "") for name in (phony.group(1).split() if phony else [])}


def test_every_task_has_help() -> None:
    """`make` lists each of its tasks with what it does."""
    none_of((name for name, said in targets().items() if not said), "These tasks have no ## help in the Makefile:")


def test_the_readme_shows_commands_that_exist() -> None:
    """Whoever pastes a command of the README gets what it says."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text("README.md"), re.MULTILINE | re.DOTALL)
    shown = [name for block in blocks for name in re.findall(r"^\s*\$? ?make +(\w+)", block, re.MULTILINE)]
    none_of((f"make {name}" for name in shown if name not in targets()), "README.md shows tasks that do not exist:")
    none_of(
        (f"make {name}" for name in ("demo", "test") if name not in shown),
        "README.md shows these commands in a code block, first of all:",
    )


@pytest.mark.parametrize("page", ["README.md", "docs/operating.md"])
def test_commands_that_are_shown_have_their_options(page: str) -> None:
    """Each `retailos …` that a page tells to run names a command and options that the program has."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text(page), re.MULTILINE | re.DOTALL)
    lines = re.findall(r"(?:^|\$\()retailos ([a-z].*)", "\n".join(blocks).replace("\\\n", " "), re.MULTILINE)
    assert len(lines) >= 6
    none_of(
        (line for line in lines if not exists(line.partition(" #")[0])), f"{page} shows what there is not: retailos"
    )


def exists(line: str) -> bool:
    """Whether what follows `retailos` names commands, and options of the last of these."""
    command: click.Command = main
    words = re.findall(r"'[^']*'|[^\s)]+", line)
    while words and isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        if found is None:
            return False
        command = found
    known = {option for each in command.params for option in each.opts}
    return not isinstance(command, click.Group) and {word for word in words if word.startswith("--")} <= known


def test_links_lead_to_files_that_exist() -> None:
    """Whoever follows a link of the documents finds what it says is there."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8"))
        if not link.startswith("https://")
    ]
    assert links
    none_of(
        (f"{page.relative_to(ROOT)}: {link}" for page, link in links if not (page.parent / link).exists()),
        "Links that lead nowhere:",
    )


def test_ci_runs_what_the_readme_says() -> None:
    """The tests that decide are run with the command that the README tells."""
    commands = [line.strip() for line in text(".ci/run").splitlines()]
    none_of((each for each in ("make check", "make test") if each not in commands), ".ci/run does not run, as a line:")


def test_decisions_are_short_and_whole() -> None:
    """A decision tells its context, what was decided, what follows and what else was thought of, on two screens."""
    needed = ("Context", "Decision", "Consequences", "Alternatives")
    for page in sorted((ROOT / "docs/decisions").glob("*.md")):
        told = page.read_text(encoding="utf-8")
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", page.name), f"{page.name}: name it NNNN-title.md"
        none_of((each for each in needed if f"## {each}" not in told), f"{page.name} has no section:")
        assert len(told.splitlines()) <= 110, f"{page.name} is longer than two screens (110 lines)"


def test_every_python_example_can_be_read() -> None:
    """Python shown in the documents is Python."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if page.is_file():
            for block in re.findall(
                r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
            ):
                ast.parse(block, str(page.relative_to(ROOT)))
