"""What a person's SQL does to records while they are owed harms no other delivery."""

from retailos.receiver import Receiver
from tests.contract.conftest import Api
from tests.contract.delivering import settled, webhook, working

ADA = {"firstName": "Ada", "lastName": "Lovelace"}
CHANGED = "update customers set version = version + 1, updated_at = now() where external_id = 'c-0'"
DELETED = "delete from customers where external_id = 'c-0'"
#: The sweep has just been there.
COMPARED = "insert into schedule (kind, subject, due_at) values ('compare versions', '', now() + interval '6 h')"
SENDS = ("latest", "every")


async def write(api: Api) -> None:
    """Write two customers."""
    for name in ("c-0", "c-1"):
        assert (await api.put(f"/customers/{name}", ADA)).status == 200


async def test_what_is_newer_than_anybody_owed_is_acknowledged(api: Api) -> None:
    """A version that was written past the program goes out with what was owed already, and is acknowledged."""
    async with Receiver.listen() as receiver:
        made = await webhook(api, receiver)
        await write(api)
        await api.engine.pool.execute(CHANGED)
        await api.engine.pool.execute(COMPARED)
        async with working(api):
            shown = await settled(api, made, "c-0")
    assert (shown["wanted"], shown["acknowledged"], shown["attempts"]) == (2, 2, 0)
    assert [each["version"] for each in shown["attemptHistory"]] == [2]


async def test_a_record_that_was_deleted_past_the_program_fails_alone(api: Api) -> None:
    """It can't be sent and says why; what else is owed arrives, whichever way the webhook sends."""
    async with Receiver.listen() as receiver:
        made = [await webhook(api, receiver, name=sends, sends=sends) for sends in SENDS]
        await write(api)
        await api.engine.pool.execute(DELETED)
        async with working(api):
            for webhook_id in made:
                await settled(api, webhook_id, "c-1")
                [failed] = (await api.admin("GET", f"/deliveries?webhook={webhook_id}&status=failed")).result["rows"]
                shown = (await api.admin("GET", f"/deliveries/{failed['id']}")).result
                assert (shown["errorClass"], shown["externalId"]) == ("invalid_request", None)
                assert "deleted past the program" in shown["attemptHistory"][0]["detail"]
    assert {each.path.rpartition("/")[2] for each in receiver.received} == {"c-1"}
