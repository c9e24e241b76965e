"""The rules of the register are checked in every state that two workers, three writes and a network can reach."""

from dataclasses import fields, replace
from typing import Final

import pytest

from tests.reliability.register_model import Faults, Rules, explore

ALL: Final = Rules()
USUAL: Final = Faults()
#: Each rule that is in force; a strict receiver is none of ours.
IN_FORCE: Final = tuple(each.name for each in fields(Rules) if each.default)


@pytest.mark.parametrize(
    "faults", [USUAL, Faults(crashes=0, lapses=0, timeouts=3)], ids=["all that can happen", "a slow network"]
)
def test_with_all_rules_the_receiver_ends_on_the_newest_version(faults: Faults) -> None:
    """Whatever happens in whichever order: when nothing is left to happen, the receiver's copy is the database's."""
    found = explore(ALL, faults)
    print(found.report())
    assert not found.wrong, found.report()
    assert found.states > 10_000


@pytest.mark.parametrize("rule", IN_FORCE)
def test_no_rule_can_be_spared(rule: str) -> None:
    """Without any one of the rules there is a way to a receiver that stays behind, and the model shows it."""
    found = explore(replace(ALL, **{rule: False}), USUAL)
    print(f"without {rule}: {found.report()}")
    assert "stale" in found.wrong
    assert len(found.way) == len(found.report().splitlines()) - 1


def test_without_timeouts_nothing_needs_to_be_confirmed() -> None:
    """Where no request outlives the patience of its worker, fences and comparing versions are enough."""
    found = explore(replace(ALL, confirms=False), Faults(crashes=0, lapses=0, timeouts=0, losses=2))
    assert not found.wrong, found.report()


def test_a_receiver_that_ignores_lower_versions_needs_no_confirmation() -> None:
    """A receiver that drops what has a lower X-Ra-Record-Version ends on the newest one, late requests or not."""
    found = explore(replace(ALL, confirms=False, strict_receiver=True), USUAL)
    print(found.report())
    assert not found.wrong, found.report()
