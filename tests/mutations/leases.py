"""What keeps workers that stand still or die from harm: R4 and R5."""

from typing import Final

from tests.mutations.mutant import DELIVERIES, REGISTER, SENDING, Mutant

LEASES: Final = (
    Mutant(
        name="a worker that stood still sends what it had claimed",
        path=f"{SENDING}/lane.py",
        old=" or self._lease() != worker_id",
        new="",
        test="tests/reliability/test_lapsed_lease.py::"
        "test_a_claim_under_a_lease_that_is_over_is_neither_sent_nor_settled",
    ),
    Mutant(
        name="a worker takes its lease to hold for ever",
        path=f"{SENDING}/lease.py",
        old="return self.worker_id if time.monotonic() < self._until else None",
        new="return self.worker_id",
        test="tests/contract/test_lease.py::test_a_worker_that_can_not_renew_its_lease_sends_nothing_more",
    ),
    Mutant(
        name="a lease that has run out is renewed",
        path=REGISTER,
        old="where id = $1 and lease_until > now() returning id",
        new="where id = $1 returning id",
        test="tests/store/test_register.py::test_a_lease_that_ran_out_claims_and_renews_nothing",
    ),
    Mutant(
        name="what a dead worker had is owed and never due",
        path=REGISTER,
        old="select webhook_id, record_id, now() from rescued",
        new="select webhook_id, record_id, now() from rescued where false",
        test="tests/store/test_register.py::test_what_a_dead_worker_had_claimed_is_rescued",
    ),
    Mutant(
        name="a claim whose answer was lost is nobody's",
        path=f"{SENDING}/lane.py",
        old="self._lost.add(token)",
        new="pass",
        test="tests/reliability/test_lost_answers.py::test_a_claim_whose_answer_was_lost_is_sent_all_the_same",
    ),
    Mutant(
        name="what timed out is not in doubt",
        path=f"{DELIVERIES}/outcome.py",
        old="        return reply.sent\n",
        new="        return False\n",
        test="tests/contract/test_confirming.py::test_what_is_applied_late_is_written_over",
    ),
    Mutant(
        name="two workers claim the same",
        path=REGISTER,
        old="    for update of due, delivery skip locked\n",
        new="",
        test="tests/store/test_register.py::test_claims_do_not_overlap",
    ),
    Mutant(
        name="whoever looks has the tick",
        path="src/retailos/schedule/clock.sql",
        old="limit 1\nfor update skip locked",
        new="limit 1",
        test="tests/reliability/test_many_workers.py::test_what_falls_due_is_done_once_by_one_of_many_workers",
    ),
)
