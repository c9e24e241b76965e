"""Networks as they are written: those of IPv4 within IPv6 are the IPv4 networks that addresses are compared with."""

from ipaddress import ip_address, ip_network

import pytest

from retailos.cidr import read_network
from retailos.declare.texts import Cidr
from retailos.exchanges.addresses import Policy, judge
from retailos.settings import load

#: What is written, and which network it is.
CASES = {
    "10.20.0.0/16": "10.20.0.0/16",
    " 10.20.0.1 ": "10.20.0.1/32",
    "2001:db8::/32": "2001:db8::/32",
    "::1": "::1/128",
    "::ffff:127.0.0.0/104": "127.0.0.0/8",
    "::FFFF:7F00:0/104": "127.0.0.0/8",
    "::ffff:10.20.30.40": "10.20.30.40/32",
    "::ffff:10.20.0.0/112": "10.20.0.0/16",
    "::ffff:0:0/96": "0.0.0.0/0",
    "::fffe:0:0/95": "::fffe:0:0/95",
    "::/0": "::/0",
}


@pytest.mark.parametrize(("written", "network"), CASES.items())
def test_a_network_of_ipv4_is_one_however_it_is_written(written: str, network: str) -> None:
    """In a key, in each setting and for webhooks alike, addresses of IPv4 are within what was written for them."""
    assert read_network(written) == ip_network(network)
    settings = load({f"RETAILOS_{name}": written for name in ("CALLER_NETWORKS", "TRUSTED_PROXIES", "ALLOW_ADDRESSES")})
    for each in (settings.caller_networks, settings.trusted_proxies, settings.allow_addresses):
        assert each == (ip_network(network),)
    assert Cidr().read(written.strip(), "", []) == network


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_a_webhook_reaches_what_was_allowed_in_ipv6(address: str) -> None:
    """A receiver's address of IPv4 is allowed by the network that holds it, in either form."""
    assert judge(ip_address(address), Policy(allow=(read_network("::ffff:127.0.0.0/104"),))) is None


@pytest.mark.parametrize(
    "written", ["", "localhost", "10.0.0.1/8", "::ffff:10.0.0.1/104", "10.0.0.0/33", "10.0.0.0/8,::1"]
)
def test_what_is_no_network_is_refused(written: str) -> None:
    """Bits behind the prefix, names and lists are no network."""
    with pytest.raises(ValueError, match=r"does not appear to be|has host bits set"):
        read_network(written)
