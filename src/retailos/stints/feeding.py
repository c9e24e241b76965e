"""How much an operation owes at a time: as much as the receiver has taken meanwhile, so that changes go before it.

What is owed is sent in the order in which it became due. An operation that owed a million records at once would put
every change of the next hours behind them. So it keeps only some waiting, at each step looks how many of them still
do, and lets more wait where the receiver has taken all, fewer where most are there still: what a change finds before
itself is what the receiver takes in a step or two, however fast or slow it is. What waits for others to fill a batch is
not counted, since it says nothing of the receiver: the batch waits for it.
"""

from dataclasses import dataclass
from typing import Final

#: Deliveries that may wait before the first look.
AHEAD_FIRST: Final = 100
AHEAD_LEAST: Final = 20
AHEAD_MOST: Final = 5_000
#: Records of one step: a statement that locks more holds up writers.
STEP_MOST: Final = 1_000
#: Between two steps.
STEP_SECONDS: Final = 0.1
#: Where nothing is taken, since the webhook is paused or its receiver away.
STALLED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Feed:
    """How many records to owe in this step, how many may wait at the next, and in how many seconds that is."""

    take: int
    ahead: int
    pause_seconds: float


def feed(ahead: int, waiting: int, rate: float | None) -> Feed:
    """Decide on a step: `ahead` deliveries may wait, `waiting` do, and at most `rate` a second are to be owed."""
    if waiting == 0:
        ahead = min(ahead * 2, AHEAD_MOST)
    elif waiting > ahead // 2:
        ahead = max(ahead // 2, AHEAD_LEAST)
    take = min(ahead - waiting, STEP_MOST)
    if take <= 0:
        return Feed(0, ahead, STALLED_SECONDS if ahead == AHEAD_LEAST else STEP_SECONDS)
    if rate is None:
        return Feed(take, ahead, STEP_SECONDS)
    take = min(take, max(1, int(rate * STEP_SECONDS)))
    return Feed(take, ahead, max(take / rate, STEP_SECONDS))
