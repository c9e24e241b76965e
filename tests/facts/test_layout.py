"""The files stay small, say what they are for, and are on the map."""

import ast
import re
from typing import Final

from tests.facts.sources import ROOT, SRC, everything, functions, is_one_sentence, modules, none_of, text

LINES_OF_A_MODULE: Final = 400
LINES_OF_A_FUNCTION: Final = 60


def test_no_module_is_long() -> None:
    """A module can be read in one sitting."""
    none_of(
        (
            f"{module.path} has {len(module.text.splitlines())}"
            for module in everything()
            if len(module.text.splitlines()) > LINES_OF_A_MODULE
        ),
        f"A module has at most {LINES_OF_A_MODULE} lines; split what has two reasons to change.",
    )


def test_no_function_is_long() -> None:
    """A function fits on a screen."""
    none_of(
        (
            f"{module.path}:{node.lineno} {node.name} has {length}"
            for module in everything()
            for node in functions(module.tree)
            if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > LINES_OF_A_FUNCTION
        ),
        f"A function has at most {LINES_OF_A_FUNCTION} lines, its docstring included.",
    )


def test_every_module_says_what_it_is_for() -> None:
    """Each module begins with one sentence that tells what it is for."""
    none_of(
        (module.path for module in everything() if not is_one_sentence(ast.get_docstring(module.tree))),
        "A module's docstring begins with one sentence and its full stop, then an empty line if there is more.",
    )


def test_every_test_is_one_sentence() -> None:
    """Each test says in one sentence what it promises about the product."""
    none_of(
        (
            f"{module.path}:{node.lineno} {node.name}"
            for module in modules("tests")
            for node in functions(module.tree)
            if node.name.startswith("test_") and not is_one_sentence(ast.get_docstring(node))
        ),
        "A test's docstring is one sentence about the product, with its full stop.",
    )


def mapped() -> dict[str, tuple[str, str]]:
    """Read docs/map.md: path → what it is for, and what can be refused there."""
    rows = re.findall(r"^\| *`([^`]+)` *\|([^|]*)\|([^|]*)\| *$", text("docs/map.md"), re.MULTILINE)
    return {path: (purpose.strip(), refused.strip()) for path, purpose, refused in rows}


def test_the_map_shows_every_module() -> None:
    """Whoever looks for something finds its file on the map, and the map shows nothing that is gone."""
    shown = mapped()
    none_of(
        (module.path for module in modules(SRC) if module.path not in shown),
        "These are missing in docs/map.md, one row each: | `path` | what it is for | what can be refused there |",
    )
    none_of((path for path in shown if not (ROOT / path).exists()), "docs/map.md shows what is not there:")
    none_of((path for path, (purpose, _) in shown.items() if not purpose), "docs/map.md does not say what it is for:")
