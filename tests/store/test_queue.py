"""The queue: how much it takes, and what becomes of a draft that the database does not."""

from uuid import UUID

import pytest

from retailos.errors import Unavailable
from retailos.jobs import jobs
from retailos.jobs.queue import QUEUED_MOST, Origin, Queue
from retailos.records.record import Draft
from retailos.resources import RESOURCES
from tests.conftest import eventually
from tests.store.conftest import Store

CUSTOMER = RESOURCES["customer"]
ORIGIN = Origin(request_id=UUID(int=1), api_key_id="key")
COUNT = "select count(*) from queued"


def queue(store: Store) -> Queue:
    """A queue that writes nothing until it is opened."""
    return Queue(store.pool, RESOURCES, after_commit=lambda: store.commits.append(1))


async def test_a_queue_that_is_full_takes_no_more(store: Store) -> None:
    """With 100,000 drafts waiting the next one is refused, to be sent again, and nothing of it is kept."""
    full = queue(store)
    await full.accept(CUSTOMER, [(0, Draft(external_id="first", patch={}))], ORIGIN)
    await store.value("select setval(pg_get_serial_sequence('queued', 'seq'), $1)", QUEUED_MOST)
    await full.accept(CUSTOMER, [(0, Draft(external_id="last", patch={}))], ORIGIN)
    with pytest.raises(Unavailable):
        await full.accept(CUSTOMER, [(0, Draft(external_id="one beyond", patch={}))], ORIGIN)
    assert await store.value(COUNT) == 2


async def test_a_draft_that_can_t_be_stored_fails_alone(store: Store) -> None:
    """Where a defect let through what the database refuses, its job fails, those beside it are written, all goes on."""
    patches = [{"firstName": "Ada"}, {"dob": "99/99/1999"}, {"firstName": "Grace"}]
    drafts = [(i, Draft(external_id=f"c-{i}", patch=patch)) for i, patch in enumerate(patches)]
    writing = queue(store)
    accepted = await writing.accept(CUSTOMER, drafts, ORIGIN)
    assert writing.busy
    await writing.open()
    try:
        await eventually(lambda: not writing.busy)
    finally:
        await writing.close()
    ends = [await jobs.find(store.pool, accepted[i].id) for i in range(3)]
    assert [each.status for each in ends] == ["completed", "failed", "completed"]
    assert ends[1].error["code"] == "INTERNAL_ERROR"
    assert (await store.value(COUNT), len(store.commits)) == (0, 1)
