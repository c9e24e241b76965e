"""The rules that are taken away to test the tests, each with the test that misses it: what `make mutants` runs."""

from dataclasses import dataclass
from typing import Final

DELIVERIES: Final = "src/retailos/deliveries"
SENDING: Final = "src/retailos/sending"
REGISTER: Final = f"{DELIVERIES}/register.sql"
GATE: Final = f"{SENDING}/gate.sql"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A rule that is taken away: a text of a file that is replaced wherever it stands, and the test that misses it."""

    name: str
    path: str
    old: str
    new: str
    test: str


#: What is owed, and who may say that it is not any more.
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
)

#: What a receiver that is away costs: R8, and the forty minutes without one.
BREAKER: Final = (
    Mutant(
        name="a breaker never opens",
        path=GATE,
        old="now_failures >= $4::integer or (opened_at",
        new="(opened_at",
        test="tests/store/test_gate.py::test_a_breaker_opens_after_failures_in_a_row",
    ),
    Mutant(
        name="a breaker never closes",
        path=GATE,
        old="(opened_at is not null and not $3::boolean)",
        new="opened_at is not null",
        test="tests/store/test_gate.py::test_one_worker_probes_and_success_closes",
    ),
    Mutant(
        name="failures count that something has got through since",
        path=GATE,
        old="case when $3::boolean then 0 else failures end",
        new="failures",
        test="tests/store/test_gate.py::test_one_worker_probes_and_success_closes",
    ),
    Mutant(
        name="each worker probes for itself",
        path=GATE,
        old="and webhook_id = $1 and probe_at <= now()",
        new="and webhook_id = $1",
        test="tests/store/test_gate.py::test_one_worker_probes_and_success_closes",
    ),
    Mutant(
        name="a lane of a webhook that was changed probes where it went before",
        path=GATE,
        old=" and webhook.updated_at = $3",
        new=" and $3::timestamptz is not null",
        test="tests/store/test_gate.py::test_a_probe_is_sent_as_the_webhook_is_now",
    ),
    Mutant(
        name="a receiver that is down is sent to until its failures are settled",
        path=f"{SENDING}/gate.py",
        old="self._breaker.failures + self._untold >=",
        new="self._breaker.failures + 0 >=",
        test="tests/store/test_gate.py::test_what_will_open_the_breaker_holds_at_once",
    ),
    Mutant(
        name="a probe whose worker died was the last",
        path=GATE,
        old="set probe_at = now() + $2 * interval '1 second'",
        new="set probe_at = now() + $2 * interval '1 year'",
        test="tests/store/test_gate.py::test_one_worker_probes_and_success_closes",
    ),
    Mutant(
        name="a worker does not hear that others have opened the breaker",
        path=f"{SENDING}/worker.py",
        old="self._lanes[webhook_id].gate.tell(due.breaker, asked_at)",
        new="pass",
        test="tests/contract/test_breaker.py::test_what_one_worker_finds_mended_all_send_to",
    ),
    Mutant(
        name="what is held may be sent",
        path=f"{DELIVERIES}/breaker.py",
        old="    if breaker.open:\n        return 0\n",
        new="    if breaker.open:\n        return most\n",
        test="tests/unit/test_breaker.py::test_sending_ramps_up",
    ),
    Mutant(
        name="after a breaker has closed everything goes out at once",
        path=f"{DELIVERIES}/breaker.py",
        old="return min(most, 1 << max(doublings, 0))",
        new="return most",
        test="tests/unit/test_breaker.py::test_sending_ramps_up",
    ),
    Mutant(
        name="attempts are burnt while deliveries are held",
        path=f"{SENDING}/gate.py",
        old="outcome = spared(settlement.outcome, held=self.held)",
        new="outcome = settlement.outcome",
        test="tests/contract/test_breaker.py::test_a_probe_counts_no_attempt",
    ),
    Mutant(
        name="a batch of a hundred that comes to nothing is a hundred failures",
        path=f"{DELIVERIES}/breaker.py",
        old="for passed in through.values():",
        new="for passed in (verdict for _, outcome in answered if (verdict := got_through(outcome)) is not None):",
        test="tests/unit/test_breaker.py::test_a_request_counts_once",
    ),
    Mutant(
        name="who mends a webhook waits for the next probe",
        path="src/retailos/webhooks/orders.sql",
        old="probe_at = case when still then now() end",
        new="probe_at = case when still then probe_at end",
        test="tests/contract/test_breaker.py::test_a_changed_webhook_is_probed_at_once",
    ),
    Mutant(
        name="what failed stays failed when the breaker closes",
        path=f"{SENDING}/gate.py",
        old="if closed and webhook.requeue.on_recovery:",
        new="if False:",
        test="tests/contract/test_trials.py::test_what_failed_is_requeued_when_the_breaker_closes",
    ),
)
#: What workers share of a webhook, and what keeps one that hangs from holding up the others: R9.
SHARES: Final = (
    Mutant(
        name="a worker takes what another has",
        path=GATE,
        old="16) - others.slots), 0)",
        new="16)), 0)",
        test="tests/store/test_gate.py::test_workers_that_take_at_once_do_not_take_too_much",
    ),
    Mutant(
        name="workers divide at the same moment",
        path=GATE,
        old="order by id for no key update",
        new="order by id",
        test="tests/store/test_gate.py::test_one_worker_at_a_time_divides",
    ),
    Mutant(
        name="what a dead worker had is nobody's until it is forgotten",
        path=GATE,
        old="from share join worker on worker.id = worker_id\n    where",
        new="from share where",
        test="tests/store/test_gate.py::test_what_a_worker_had_is_free_when_it_is_gone",
    ),
    Mutant(
        name="shares are never forgotten",
        path=GATE,
        old="delete from share where not exists",
        new="delete from share where false and not exists",
        test="tests/store/test_gate.py::test_what_a_worker_had_is_free_when_it_is_gone",
    ),
    Mutant(
        name="a worker gives up what it still uses",
        path=f"{SENDING}/worker.py",
        old="keeps = max(due[webhook_id], min(self._lanes.under_way(webhook_id), has))",
        new="keeps = due[webhook_id]",
        test="tests/contract/test_shares.py::test_a_worker_that_joins_waits_for_what_others_have_under_way",
    ),
    Mutant(
        name="each worker has a webhook's whole rate",
        path=f"{SENDING}/gate.py",
        old="self._webhook.rate * share / self._webhook.concurrency",
        new="self._webhook.rate",
        test="tests/contract/test_shares.py::test_a_rate_is_kept_over_all_workers",
    ),
    Mutant(
        name="a webhook has as many requests at once as it likes",
        path=f"{SENDING}/lane.py",
        old="Turns(lambda: max(gate.most(), 1),",
        new="Turns(lambda: 1_000,",
        test="tests/contract/test_shares.py::test_requests_at_once_are_shared_by_all_workers",
    ),
    Mutant(
        name="webhooks have their requests at once in common",
        path=f"{SENDING}/turns.py",
        old="self._hands: set[asyncio.Task[None]] = set()",
        new="self._hands: set[asyncio.Task[None]] = globals().setdefault('everyones', set())",
        test="tests/reliability/test_hanging_webhook.py::test_a_hanging_receiver_delays_nobody_else",
    ),
)
#: What keeps workers that stand still or die from harm: R4 and R5.
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
#: What is known to be as it is sent, and what is counted back to when it was made.
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
)
MUTANTS: Final = (*REGISTERS, *BREAKER, *SHARES, *LEASES, *KNOWN)
