"""What the job is called that tells a webhook of a record."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from retailos.deliveries.job import job_id, record_of

WEBHOOKS = st.integers(1, 2**31 - 1)


@given(WEBHOOKS, st.uuids(version=4))
def test_a_job_leads_back_to_its_record(webhook: int, record: UUID) -> None:
    """The webhook and the job's id give the record, and the id is a UUID of the record's own version."""
    job = job_id(webhook, record)
    assert record_of(webhook, job) == record
    assert (job.variant, job.version) == (record.variant, record.version)


@given(st.lists(WEBHOOKS, min_size=2, max_size=50, unique=True), st.uuids(version=4))
def test_webhooks_have_jobs_of_their_own(webhooks: list[int], record: UUID) -> None:
    """Each webhook that is told of a record has another job, none of which is called like the record."""
    assert len({job_id(each, record) for each in webhooks} | {record}) == len(webhooks) + 1
