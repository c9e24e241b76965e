"""What workers share of a webhook, and what keeps one that hangs from holding up the others: R9."""

from typing import Final

from tests.mutations.mutant import GATE, SENDING, Mutant

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
    Mutant(
        name="every webhook may wait for a lock with a connection of its own",
        path=f"{SENDING}/lanes.py",
        old="WAITING_MOST = 2",
        new="WAITING_MOST = 100",
        test="tests/contract/test_settlements.py::test_a_record_that_is_written_for_long_leaves_a_worker_its_connections",
    ),
    Mutant(
        name="a webhook's secrets are those of whoever was named last",
        path="src/retailos/webhooks/orders.py",
        old="return found if current is not None and current.updated_at == known.updated_at else None",
        new="return found",
        test="tests/contract/test_changed_webhooks.py::test_a_former_receiver_gets_no_secret_that_was_saved_later",
    ),
)
