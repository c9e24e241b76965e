"""The addresses of the internet that are not public, and the IPv4 addresses that hide in IPv6 ones."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

from retailos.cidr import read_network
from retailos.errors import ConfigurationError

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NAT64_LOCAL: Final = IPv6Network("64:ff9b:1::/48")
#: Where RFC 6052 puts the IPv4 for prefixes of 48, 56, 64 and 96 bits; octet 8 is always left out.
_NAT64_LOCAL_OCTETS: Final = ((6, 7, 9, 10), (7, 9, 10, 11), (9, 10, 11, 12), (12, 13, 14, 15))
_LAST_32_BITS: Final = tuple(map(IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")))

#: Refused even where a CIDR of the policy covers them: whoever reaches these gets a machine's credentials.
NEVER: Final = tuple(
    map(
        ip_network,
        (
            "169.254.0.0/16",
            "fe80::/10",
            "fd00:ec2::/32",  # AWS
            "fd20:ce::/32",  # Google Cloud
            "fd00:42::42/128",  # Scaleway
            "168.63.129.16/32",  # Azure
            "100.100.100.200/32",  # Alibaba Cloud
            "192.0.0.192/32",  # Oracle Cloud
        ),
    )
)

#: IANA's special-purpose registries for IPv4 and IPv6. Python's `is_private` and `is_global` differ between
#: versions and know nothing of NAT64 and 6to4, so they are not asked.
FORBIDDEN: Final[tuple[tuple[IPNetwork, str], ...]] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "of this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a carrier (CGNAT)"),
        ("127.0.0.0/8", "loopback"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "for IETF protocols"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "of a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("100::/64", "for discarding"),
        ("2001::/23", "for IETF protocols"),
        ("2001:db8::/32", "for documentation"),
        ("3fff::/20", "for documentation"),
        ("5f00::/16", "for segment routing"),
        ("fc00::/7", "private (unique local)"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)


def within(address: IPAddress, networks: Iterable[IPNetwork]) -> bool:
    """Whether any of the networks holds the address."""
    return any(address in network for network in networks)


def carried(address: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that a packet to this IPv6 address may end at, none for an ordinary one.

    RFC 4291 (compatible, mapped), 2765 (translated), 6052 and 8215 (NAT64), 3056 (6to4), 4380 (Teredo).
    """
    if address.teredo:
        yield from address.teredo
    elif address.sixtofour:
        yield address.sixtofour
    elif address in _NAT64_LOCAL:
        # The network's operator may have cut its prefix at any of these lengths, so every reading counts. Those
        # that begin with 0 are the other readings' padding; if there is no other, the address stays forbidden.
        readings = [IPv4Address(bytes(address.packed[at] for at in octets)) for octets in _NAT64_LOCAL_OCTETS]
        yield from [each for each in readings if each.packed[0]] or readings
    elif within(address, _LAST_32_BITS) and int(address) > 1:
        yield IPv4Address(address.packed[12:])


def read_networks(texts: Iterable[str]) -> tuple[IPNetwork, ...]:
    """Read CIDRs such as 10.20.0.0/16 or ::1/128; ConfigurationError names the one that is none."""
    networks = []
    for text in texts:
        try:
            networks.append(read_network(text))
        except ValueError as error:
            message = f"RETAILOS_ALLOW_ADDRESSES: expected networks such as 10.20.0.0/16, got {text!r}: {error}"
            raise ConfigurationError(message) from error
    return tuple(networks)
