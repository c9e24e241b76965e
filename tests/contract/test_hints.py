"""Hints make deliveries quick, and nothing depends on them."""

from retailos.receiver import Receiver
from retailos.records.record import Draft
from retailos.records.writer import Writer
from retailos.resources import RESOURCES
from tests.contract.conftest import Api
from tests.contract.delivering import settled, webhook, working


async def test_what_no_hint_tells_of_is_found_by_looking(api: Api) -> None:
    """A writer whose hints are lost has its changes delivered all the same, a look later."""
    writer = Writer(api.engine.pool, RESOURCES, after_commit=lambda: None)
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver)
        for number in range(3):
            draft = Draft(external_id="c-1", patch={"details": {"number": number}})
            await writer.write(RESOURCES["customer"], draft)
            await receiver.expect(number + 1)
        shown = await settled(api, made, "c-1")
    assert shown["acknowledged"] == 3
    await writer.close()
