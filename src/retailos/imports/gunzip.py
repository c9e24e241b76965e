"""A gzip stream unpacked as it comes, in small pieces, and stopped where it is damaged or a bomb."""

import zlib
from collections.abc import Iterator

from retailos.errors import MalformedFile, PayloadTooLarge

#: What one step unpacks at most, so that a bomb can't fill the memory.
PIECE_BYTES = 256 * 1024
#: Files of records shrink to a tenth or a twentieth; zeros to a thousandth. What is unpacked before this is counted,
#: so that a small file of very equal rows is taken.
EXPANSION_MOST = 200
EXPANSION_FREE_BYTES = 16 * 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS


class Gunzip:
    """Unpacks a stream of gzip members, as one file or many that were put together."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False
        self._came = self._gave = 0

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """Give what the next bytes hold, piece by piece; MalformedFile or PayloadTooLarge where they are no good."""
        self._came += len(packed)
        while packed:
            if self._member.eof:
                packed = packed.lstrip(b"\x00")  # archivers fill their last block
                if not packed:
                    return
                self._member = zlib.decompressobj(_GZIP)
            self._begun = True
            piece = self._unpacked(packed)
            packed = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            self._count(len(piece))
            yield piece

    def finish(self) -> None:
        """See that the stream has come to its end; MalformedFile where it was cut off."""
        if self._begun and not self._member.eof:
            raise MalformedFile(
                f"expected a whole gzip file, got one that is cut off after byte {self._came}",
                details={"byte": self._came},
            )

    def _unpacked(self, packed: bytes) -> bytes:
        try:
            return self._member.decompress(packed, PIECE_BYTES)
        except zlib.error:
            at = self._came - len(packed)
            message = f"expected a gzip file, got bytes that are none at or after byte {at + 1}"
            raise MalformedFile(message, details={"byte": at + 1}) from None

    def _count(self, size: int) -> None:
        self._gave += size
        if self._gave > max(EXPANSION_FREE_BYTES, self._came * EXPANSION_MOST):
            raise PayloadTooLarge(
                f"expected a gzip file that unpacks to at most {EXPANSION_MOST} times its size, got more within its "
                f"first {self._came} bytes; send it unpacked"
            )
