"""The rules that are taken away to test the tests are still there to be taken."""

from tests.facts.sources import ROOT, functions, modules, none_of
from tests.mutations import MUTANTS


def test_what_mutants_replace_is_there() -> None:
    """A mutant is a change of the program as it is, and names a test that exists."""
    none_of(
        (f"{each.name}: {each.path}" for each in MUTANTS if each.old not in (ROOT / each.path).read_text("utf-8")),
        "What these mutants replace is not in the file any more; correct tests/mutations and run: make mutants",
    )
    known = {f"{module.path}::{node.name}" for module in modules("tests") for node in functions(module.tree)}
    none_of((each.test for each in MUTANTS if each.test not in known), "Mutants name tests that do not exist:")
