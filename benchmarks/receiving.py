"""The receiver as a process of its own: says its URL, answers every request with the guide's 200, ends with stdin."""

import asyncio
import sys

import uvloop

from retailos.receiver import Receiver


async def receive() -> None:
    """Receive until stdin ends."""
    async with Receiver.listen(remember=0) as receiver:
        print(receiver.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(receive())
