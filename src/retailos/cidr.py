"""Networks as they are written, in CIDR notation: each is the one that addresses are compared with."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

#: So many bits of an IPv6 address say that an IPv4 one stands behind them (RFC 4291, 2.5.5.2).
_MAPPED_BITS = 96


def read_network(text: str) -> Network:
    """Read a network such as 10.20.0.0/16 or ::1; ValueError where it is none, or has bits behind its prefix."""
    return plain(ip_network(text.strip()))


def plain(network: Network) -> Network:
    """The IPv4 network that an IPv6 one stands for (`::ffff:10.0.0.0/104`), since a caller's address is IPv4 then."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
