"""Deliveries cut into batches, each of which goes out as one request; a single delivery is a batch of one."""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from retailos.sending.request import Batch, Item
from retailos.webhooks.batching import BYTES_LEAST

#: With each batch that is taken, a limit that was halved grows by such a share of itself: it takes some 45 to double.
GROWTH: Final = 1 / 64


def cut(items: Iterable[Item], size: int, bytes_most: int) -> Iterator[Batch]:
    """Cut deliveries into batches, in their order; a record that is too large for any goes alone."""
    batch: list[Item] = []
    filled = 0
    for item in items:
        length = _bytes(item.record.json) + 1
        if batch and (len(batch) == size or filled + length > bytes_most):
            yield batch
            batch, filled = [], 0
        batch.append(item)
        filled += length
    if batch:
        yield batch


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """A batch of more than one that was refused in two, so that what is wrong with it is in one of them.

    It may have been applied in part all the same, whatever becomes of the halves: only of what the receiver has nothing
    of is a refusal believed.
    """
    doubted = [
        Item(replace(each.claim, told=each.claim.doubted), each.record) if each.claim.known else each for each in batch
    ]
    middle = (len(batch) + 1) // 2
    return doubted[:middle], doubted[middle:]


class Limit:
    """How many bytes a receiver takes at once, as far as is known here: halved by a 413, and slowly larger again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._record_bytes = 1.0
        self.bytes = most

    def records(self, most: int) -> int:
        """How many records to claim for one batch, `most` at the most: what is claimed beyond it fills memory alone."""
        return min(most, max(1, int(self.bytes / self._record_bytes)))

    def note(self, sent: int, records: int) -> None:
        """Take note of the size of a body that was sent, of so many records."""
        self._record_bytes = max(1.0, sent / records)

    def halve(self, refused: int) -> None:
        """Take note of a body of so many bytes that was too large."""
        self.bytes = max(BYTES_LEAST, min(self.bytes, refused // 2))

    def grow(self) -> None:
        """Take note of a batch that was taken."""
        if self.bytes < self._most:
            self.bytes = min(self._most, self.bytes + int(self.bytes * GROWTH))


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
