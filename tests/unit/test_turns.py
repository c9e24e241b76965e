"""Work that waits its turn: never more at once than there may be, in order, however their number changes."""

import asyncio

from retailos.sending.turns import Turns
from tests.conftest import eventually


class Crowd:
    """Pieces of work that are begun in their turn, and done when they are let go."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.begun: list[int] = []
        self.defects: list[BaseException] = []
        self.go = asyncio.Event()
        self.turns: Turns[int] = Turns(lambda: self.most, self._do, self._end)

    async def _do(self, number: int) -> None:
        self.begun.append(number)
        await self.go.wait()
        if number < 0:
            raise ValueError(number)

    def _end(self, hand: asyncio.Task[None]) -> None:
        if not hand.cancelled() and (defect := hand.exception()):
            self.defects.append(defect)


async def test_work_is_begun_in_turn_as_far_as_there_are_hands() -> None:
    """As many are under way as there may be; when there may be more, those that waited longest come next."""
    crowd = Crowd(2)
    for number in range(6):
        crowd.turns.add(number)
    await eventually(lambda: crowd.begun == [0, 1])
    crowd.most = 4
    crowd.turns.stir()
    await eventually(lambda: crowd.begun == [0, 1, 2, 3])
    crowd.most = 1
    crowd.turns.stir()
    assert (crowd.turns.taken, len(crowd.turns)) == (4, 6)
    crowd.go.set()
    await crowd.turns.done()
    assert (crowd.begun, len(crowd.turns)) == ([0, 1, 2, 3, 4, 5], 0)


async def test_a_defect_ends_one_hand_and_not_the_work_of_others() -> None:
    """Where a piece of work fails, somebody is told, and what waits behind it is done all the same."""
    crowd = Crowd(1)
    for number in (-1, 1, 2):
        crowd.turns.add(number)
    crowd.go.set()
    await eventually(lambda: crowd.begun == [-1, 1, 2])
    await crowd.turns.done()
    assert [str(each) for each in crowd.defects] == ["-1"]


async def test_what_is_left_undone_is_not_begun() -> None:
    """Cancelled, what is under way ends, and what waits is never begun."""
    crowd = Crowd(2)
    for number in range(4):
        crowd.turns.add(number)
    await eventually(lambda: crowd.begun == [0, 1])
    crowd.turns.cancel()
    await crowd.turns.done()
    assert (crowd.begun, len(crowd.turns), crowd.defects) == ([0, 1], 0, [])
