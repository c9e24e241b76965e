"""What a receiver that is away costs: R8, and the forty minutes without one."""

from typing import Final

from tests.mutations.mutant import DELIVERIES, GATE, REGISTER, SENDING, Mutant

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
    Mutant(
        name="what is held is sent before its receiver wants it",
        path=REGISTER,
        old="case when at_once then 0 else coalesce(after_seconds, 0) end",
        new="0",
        test="tests/contract/test_breaker.py::test_what_is_held_waits_as_long_as_the_answer_asks",
    ),
)
