"""What is known to be as it is sent, and what is counted back to when it was made."""

from typing import Final

from tests.mutations.mutant import DELIVERIES, SENDING, Mutant

KNOWN: Final = (
    Mutant(
        name="what was sent once is known whatever became of it",
        path="src/retailos/records/resent_sql.py",
        old=" and resent.version = r.version",
        new="",
        test="tests/contract/test_resent.py::test_what_changed_meanwhile_is_set_back",
    ),
    Mutant(
        name="other bytes are known, too",
        path="src/retailos/records/resent_sql.py",
        old=" and resent.digest = given.digest",
        new="",
        test="tests/contract/test_resent.py::test_what_is_known_hides_nothing_beside_it",
    ),
    Mutant(
        name="what is known passes what was accepted before",
        path="src/retailos/records/resent_sql.py",
        old="\n    and (select refuse_awaited('{resource.name}', $1))",
        new="",
        test="tests/contract/test_resent.py::test_what_was_accepted_before_is_written_before",
    ),
    Mutant(
        name="what was known when its chunk was read is known for good",
        path="src/retailos/imports/apply.py",
        old="    rows = await _as_they_are_now(transaction, resources, hold.layout, form, rows)\n",
        new="",
        test="tests/contract/test_imports_resent.py::test_what_changed_while_its_chunk_waited_is_set_back",
    ),
    Mutant(
        name="a name that stands there twice is passed over",
        path="src/retailos/records/resent.py",
        old="raw[begun.end() : end] == whole and _CLOSING.fullmatch(raw, end)",
        new="True",
        test="tests/unit/test_resent.py::test_what_is_not_evenly_spaced_is_not_cut",
    ),
    Mutant(
        name="a late look at the clock counts as much as any",
        path=f"{DELIVERIES}/clock.py",
        old="if best is None or ahead > best or (best - ahead).total_seconds() > SET_SECONDS:",
        new="if True:",
        test="tests/unit/test_clock.py::test_of_two_moments_the_earlier_stays_the_earlier",
    ),
    Mutant(
        name="less than nothing is claimed",
        path=f"{SENDING}/lane.py",
        old="room = max(min(self._capacity - self._ahead, UNSETTLED_MOST - len(self._answered), SET_MOST), 0)",
        new="room = min(self._capacity - self._ahead, UNSETTLED_MOST - len(self._answered), SET_MOST)",
        test="tests/contract/test_shares.py::test_what_can_not_be_settled_for_a_while_stops_nobody",
    ),
    Mutant(
        name="answers do not wait for one another",
        path=f"{SENDING}/answered.py",
        old="return self._fresh.waiting >= SET_WORTH or not self._more()",
        new="return True",
        test="tests/contract/test_settlements.py::test_answers_are_settled_together_while_many_come",
    ),
    Mutant(
        name="a settlement waits for whoever has one of its records locked",
        path=f"{DELIVERIES}/register.sql",
        old="for update of delivery skip locked\n),\nbusy",
        new="for update of delivery\n),\nbusy",
        test="tests/contract/test_settlements.py::test_a_record_that_is_written_for_long_delays_no_other",
    ),
    Mutant(
        name="a settlement that is made again is told again",
        path=f"{DELIVERIES}/register.py",
        old="*told, careful)",
        new="*told, False)",
        test="tests/store/test_register.py::test_a_settlement_that_is_made_again_is_told_once",
    ),
    Mutant(
        name="of a batch that was refused as a whole nothing was applied",
        path=f"{SENDING}/batch.py",
        old="Item(replace(each.claim, told=each.claim.doubted), each.record) if each.claim.known else each",
        new="each",
        test="tests/contract/test_scope.py::test_what_was_refused_with_others_may_be_there_all_the_same",
    ),
)
