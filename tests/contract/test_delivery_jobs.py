"""A delivery is a job, too: it has an id, a queue and a status, and is looked up like every other."""

from uuid import UUID

from retailos.receiver import Behaviour, Receiver
from tests.contract.conftest import TIMESTAMP, Api, check_envelope
from tests.contract.delivering import delivery, settled, webhook, working

ADA = {"firstName": "Ada", "lastName": "Lovelace"}


async def test_a_delivery_is_looked_up_as_a_job(api: Api) -> None:
    """What tells a webhook of a record is found by its job's id, owed as well as settled."""
    async with Receiver.listen() as receiver:
        hooks = [await webhook(api, receiver, name=name) for name in ("erp", "crm")]
        written = (await api.put("/customers/ada", ADA)).result[0]
        jobs = [(await delivery(api, each, "ada"))["jobId"] for each in hooks]
        assert len({*jobs, written["id"]}) == 3
        owed = (await api.get(f"/jobs/{jobs[0]}")).result
        assert TIMESTAMP.fullmatch(owed["createdAt"])
        assert owed == owed | {
            "id": jobs[0],
            "queueName": "webhook:customer:erp",
            "status": "queued",
            "resource": "customer",
            "externalId": "ada",
            "resourceId": written["resourceId"],
            "version": 1,
            "completedAt": None,
            "error": None,
        }
        async with working(api):
            for each in hooks:
                await settled(api, each, "ada")
        told = (await api.get(f"/jobs/{jobs[1]}")).result
        assert (told["queueName"], told["status"]) == ("webhook:customer:crm", "completed")
        assert told["completedAt"] >= told["createdAt"] == owed["createdAt"]


async def test_the_job_of_a_failed_delivery_says_where_its_attempts_are(api: Api) -> None:
    """A delivery that has failed is a failed job with its error class, and leads to its attempts; requeued it waits."""
    async with Receiver.listen(behaviour=Behaviour(status=500)) as receiver:
        hook = await webhook(api, receiver, retryLimit=0)
        await api.put("/customers/ada", ADA)
        async with working(api):
            failed = await settled(api, hook, "ada", "failed")
        job = (await api.get(f"/jobs/{failed['jobId']}")).result
        assert (job["status"], job["error"]["code"], job["error"]["details"]) == ("failed", "http_5xx", {"attempts": 1})
        assert failed["id"] in job["error"]["message"]
        await api.admin("POST", "/requeues", json={"webhook": hook})
        assert (await api.get(f"/jobs/{failed['jobId']}")).result["status"] == "queued"
        await api.admin("DELETE", f"/webhooks/{hook}")
        check_envelope(await api.get(f"/jobs/{failed['jobId']}"), 404)


async def test_a_job_that_is_neither_is_not_found(api: Api) -> None:
    """An id that no upsert and no delivery has is a 404, whatever webhooks there are."""
    async with Receiver.listen() as receiver:
        await webhook(api, receiver)
        await api.put("/customers/ada", ADA)
        check_envelope(await api.get(f"/jobs/{UUID(int=7)}"), 404)
