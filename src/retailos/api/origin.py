"""Where a request comes from: its TCP peer, or whom trusted proxies name in X-Forwarded-For.

Nothing else is read: `Forwarded` (RFC 7239), `X-Real-IP` and their like are ignored, whoever sends them.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from retailos.exchanges.networks import IPAddress, IPNetwork, within

#: Proxies in a row; who has more of them than this has a loop.
HOPS_MOST: Final = 32
#: In brackets with a port, as IPv4 with a port, or bare.
_HOP: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+)(?::[0-9]{1,5})?|([0-9A-Fa-f:.]+)")


def origin(peer: str, forwarded_for: Sequence[bytes], trusted: Sequence[IPNetwork]) -> IPAddress | None:
    """The address that a request counts as coming from; None is a denial: nobody can tell.

    `peer` is the address of the TCP connection, `forwarded_for` every line of X-Forwarded-For, in order. They are
    walked from the right, as the proxies wrote them: as long as one that is trusted speaks, the one before it counts.
    Whatever an untrusted one says is not looked at. An IPv4 address in IPv6 counts as the IPv4 address.
    """
    nearest = _of_peer(peer)
    if nearest is None or not forwarded_for or not within(nearest, trusted):
        return nearest
    # What is beyond the last split stays in one piece, which is no address.
    for hop in reversed(b",".join(forwarded_for).rsplit(b",", HOPS_MOST - 1)):
        nearest = _of_hop(hop)
        if nearest is None or not within(nearest, trusted):
            break
    return nearest


def _of_peer(text: str) -> IPAddress | None:
    try:
        return _plain(ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def _of_hop(hop: bytes) -> IPAddress | None:
    match = _HOP.fullmatch(hop.strip(b" \t").decode("latin-1"))
    if match is None:
        return None
    bracketed, ipv4, bare = match.groups()
    try:
        return IPv4Address(ipv4) if ipv4 else _plain(IPv6Address(bracketed or bare))
    except ValueError:
        return None


def _plain(address: IPAddress) -> IPAddress:
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address
