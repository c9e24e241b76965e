"""What is owed, and who may say that it is not any more."""

from typing import Final

from tests.mutations.mutant import DELIVERIES, REGISTER, Mutant

REGISTERS: Final = (
    Mutant(
        name="what was answered with an error is taken for not applied",
        path=f"{DELIVERIES}/told.py",
        old="return outcome.error_class not in REFUSALS or settlement.claim.known",
        new="return outcome.ambiguous",
        test="tests/contract/test_scope.py::test_what_was_refused_may_be_there_all_the_same",
    ),
    Mutant(
        name="whoever comes last settles, whether or not it holds the claim",
        path=REGISTER,
        old="delivery.record_id = given.record_id and delivery.token = given.token",
        new="delivery.record_id = given.record_id",
        test="tests/store/test_register.py::test_a_settlement_without_its_claim_does_nothing",
    ),
    Mutant(
        name="a change is sent while an older version is under way",
        path="src/retailos/records/sql.py",
        old="status = case when d.status = 'sending' or {waits} then d.status else 'owed' end",
        new="status = 'owed', token = null, worker_id = null",
        test="tests/contract/test_deliveries.py::test_a_change_during_a_request_is_sent_after_it",
    ),
    Mutant(
        name="what a natural key names is written whatever record has the external id that follows",
        path="src/retailos/records/sql.py",
        old="{_not_taken(resource)} and ",
        new=" and ",
        test="tests/contract/test_natural_keys.py::test_the_record_of_another_pair_is_not_taken_over",
    ),
    Mutant(
        name="a lease does not run out",
        path=REGISTER,
        old="delete from worker where lease_until <= now() or id = $1",
        new="delete from worker where id = $1",
        test="tests/store/test_register.py::test_what_a_dead_worker_had_claimed_is_rescued",
    ),
    Mutant(
        name="a claim is made under a lease that has run out",
        path=REGISTER,
        old="select id from worker where id = $4 and lease_until > now() for key share",
        new="select id from worker where id = $4 for key share",
        test="tests/store/test_register.py::test_a_lease_that_ran_out_claims_and_renews_nothing",
    ),
    Mutant(
        name="whoever writes is answered before the commit",
        path="src/retailos/records/writer.py",
        old="                    results = await self._write_alone(connection, batch)\n",
        new="                    async with connection.transaction():\n"
        "                        results = await self._write_alone(connection, batch)\n"
        "                        for each in batch:\n"
        "                            self._answer(each, results.get(each.upsert.job_id))\n",
        test="tests/store/test_writer.py::test_what_can_not_be_committed_is_not_acknowledged",
    ),
    Mutant(
        name="a delivery is done when a request succeeds, whatever is wanted by then",
        path=REGISTER,
        old="delivery.wanted > held.version",
        new="false",
        test="tests/store/test_register.py::test_a_write_between_claim_and_settlement_is_owed",
    ),
    Mutant(
        name="what was in doubt is not confirmed",
        path=REGISTER,
        old="and delivery.doubt_until is not null then 'confirming'",
        new="and false then 'confirming'",
        test="tests/store/test_owed_again.py::test_what_was_in_doubt_is_confirmed",
    ),
    Mutant(
        name="what was in doubt is confirmed at once",
        path=REGISTER,
        old="when 'confirming' then doubt_until",
        new="when 'confirming' then now()",
        test="tests/store/test_owed_again.py::test_what_was_in_doubt_is_confirmed",
    ),
    Mutant(
        name="what a dead worker had in flight is not in doubt",
        path=REGISTER,
        old="doubt_until = now() + interval '1 second' * ($2",
        new="doubt_until = null + interval '1 second' * ($2",
        test="tests/store/test_register.py::test_what_a_dead_worker_had_claimed_is_rescued",
    ),
    Mutant(
        name="nothing is acknowledged that is newer than what was owed",
        path=REGISTER,
        old="when held.acknowledges then greatest(delivery.wanted, held.version) else delivery.wanted",
        new="when held.acknowledges then delivery.wanted else delivery.wanted",
        test="tests/store/test_register.py::test_what_a_disabled_webhook_was_owed_may_be_read_newer",
    ),
)
