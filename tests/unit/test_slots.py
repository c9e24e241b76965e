"""Places for what is under way at once: never more than there may be, in turn, however their number changes."""

import asyncio

from retailos.sending.slots import Slots
from tests.conftest import eventually


class Crowd:
    """Many that want a place, and hold it until they are let go."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.slots = Slots(lambda: self.most)
        self.inside: list[int] = []
        self.go = asyncio.Event()

    async def enter(self, number: int) -> None:
        """Take a place, and stay."""
        async with self.slots:
            self.inside.append(number)
            await self.go.wait()


async def test_places_are_given_in_turn_as_far_as_there_are() -> None:
    """As many get in as there may be; when there may be more, those who waited longest come next."""
    crowd = Crowd(2)
    tasks = [asyncio.create_task(crowd.enter(number)) for number in range(6)]
    await eventually(lambda: crowd.inside == [0, 1])
    crowd.most = 4
    crowd.slots.stir()
    await eventually(lambda: crowd.inside == [0, 1, 2, 3])
    crowd.most = 1
    crowd.slots.stir()
    assert crowd.slots.taken == 4
    crowd.go.set()
    await asyncio.gather(*tasks)
    assert (crowd.inside, crowd.slots.taken) == ([0, 1, 2, 3, 4, 5], 0)


async def test_who_gives_up_waiting_takes_no_place() -> None:
    """One that is cancelled while it waits, or just as its turn has come, leaves the place to the next."""
    crowd = Crowd(1)
    tasks = [asyncio.create_task(crowd.enter(number)) for number in range(4)]
    await eventually(lambda: crowd.inside == [0])
    tasks[1].cancel()
    crowd.most = 2
    crowd.slots.stir()
    tasks[2].cancel()
    await eventually(lambda: crowd.inside == [0, 3])
    crowd.go.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert crowd.slots.taken == 0
