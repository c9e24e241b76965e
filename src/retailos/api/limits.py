"""How often a key may ask, and how often a caller may fail: token buckets in memory, each process with its own."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from ipaddress import IPv6Address
from typing import Final

from retailos.exchanges.networks import IPAddress

#: Buckets kept by one process, some 200 bytes each; the one that was asked longest ago makes room, and is full again.
BUCKETS_MOST: Final = 10_000
#: Many callers may share an address, so it may fail so many times as often as one key id from there.
CALLERS_OF_AN_ADDRESS: Final = 10


class Buckets:
    """Token buckets by name: each holds `burst` tokens and is filled at `per_second`.

    Of each only the moment is kept at which it is full again, so one that is full takes no room.
    """

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        most: int = BUCKETS_MOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds, self._most, self._clock = 1 / per_second, most, clock
        #: The seconds that fill an empty bucket; a millionth of a token forgives what adding fractions loses.
        self.depth = burst / per_second
        self._forgiven = self.depth + self._seconds / 1e6
        self._full: OrderedDict[Hashable, float] = OrderedDict()

    def __len__(self) -> int:
        """How many buckets are kept."""
        return len(self._full)

    def take(self, name: Hashable) -> float:
        """Take a token; give in how many seconds the bucket is full again.

        That is more than `depth`, by the seconds until there is a token, where there is none: then none is taken.
        """
        now = self._clock()
        full = max(self._full.get(name, now), now) + self._seconds
        if full - now <= self._forgiven:
            self._full[name] = full
            self._full.move_to_end(name)
            if len(self._full) > self._most:
                self._full.popitem(last=False)
            return min(full - now, self.depth)
        return full - now

    def wait(self, name: Hashable) -> float:
        """Seconds until there is a token, 0 if there is one; none is taken."""
        missing = self._full.get(name, 0.0) - self._clock() + self._seconds
        return missing - self.depth if missing > self._forgiven else 0.0


class RequestRate:
    """How many requests each key may make, told in the headers of an Internet draft.

    draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy` is the bucket and the seconds that fill it, `RateLimit`
    what is left of it and the seconds until it is full.
    """

    def __init__(self, per_second: int, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets, self._per_second = Buckets(per_second, burst, clock=clock), per_second
        self._policy = (b"ratelimit-policy", b'"key";q=%d;w=%d' % (burst, math.ceil(burst / per_second)))

    def take(self, key_id: str) -> tuple[tuple[tuple[bytes, bytes], ...], float]:
        """Count a request; the headers that tell it, and the seconds to wait, 0 if it may go on."""
        full, depth = self._buckets.take(key_id), self._buckets.depth
        wait = max(0.0, full - depth)
        left = (depth - full + wait) * self._per_second + 1e-6
        return (self._policy, (b"ratelimit", b'"key";r=%d;t=%d' % (left, math.ceil(full - wait)))), wait


class FailureRate:
    """How often a caller may come without a key that is good there: per address and key id, and per address.

    So neither one key can be guessed at, nor key ids tried out; and whoever fails at one address shuts nobody out at
    another.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        per_second, of_address = per_minute / 60, per_minute * CALLERS_OF_AN_ADDRESS
        self._callers = Buckets(per_second, per_minute, clock=clock)
        self._addresses = Buckets(per_second * CALLERS_OF_AN_ADDRESS, of_address, clock=clock)

    def wait(self, address: IPAddress | None, key_id: str) -> float:
        """Seconds until such a caller may fail again, 0 if he may now."""
        source = _source(address)
        return max(self._callers.wait((source, key_id)), self._addresses.wait(source))

    def take(self, address: IPAddress | None, key_id: str) -> float:
        """Count a failure; the seconds to wait, 0 if it may be answered as what it is."""
        source = _source(address)
        caller = self._callers.take((source, key_id)) - self._callers.depth
        return max(0.0, caller, self._addresses.take(source) - self._addresses.depth)


def _source(address: IPAddress | None) -> Hashable:
    """Whom an address stands for: of IPv6 a network of 64 bits, which one host may have whole (RFC 6177)."""
    return int(address) >> 64 if isinstance(address, IPv6Address) else address
