"""Where a request comes from: whom proxies name counts, as far as they are trusted, and nobody else is believed."""

from ipaddress import ip_address, ip_network

import pytest

from retailos.api.origin import HOPS_MOST, origin

TRUSTED = tuple(map(ip_network, ("10.0.0.0/8", "127.0.0.1/32", "2001:db8:1::/48")))

#: What the peer is, what X-Forwarded-For says (its lines), and who counts; None is a denial.
CASES: dict[str, tuple[str, tuple[str, ...], str | None]] = {
    "a caller without a proxy": ("203.0.113.9", (), "203.0.113.9"),
    "a caller who says that he is another": ("203.0.113.9", ("198.51.100.7",), "203.0.113.9"),
    "a caller who says nonsense": ("203.0.113.9", ("nonsense",), "203.0.113.9"),
    "a proxy that calls for itself": ("10.0.0.1", (), "10.0.0.1"),
    "a caller behind a proxy": ("10.0.0.1", ("203.0.113.9",), "203.0.113.9"),
    "a caller behind three proxies": ("10.0.0.1", ("203.0.113.9, 10.0.0.3, 10.0.0.2",), "203.0.113.9"),
    "several lines": ("10.0.0.1", ("203.0.113.9", "10.0.0.3", "10.0.0.2"), "203.0.113.9"),
    "what a caller put before himself": ("10.0.0.1", ("10.9.9.9, 198.51.100.7, 203.0.113.9",), "203.0.113.9"),
    "nonsense that a caller put before himself": ("10.0.0.1", ("<script>, unknown, 203.0.113.9",), "203.0.113.9"),
    "a trusted address that a caller put before himself": ("10.0.0.1", ("127.0.0.1, 203.0.113.9",), "203.0.113.9"),
    "proxies alone": ("10.0.0.1", ("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
    "a proxy with IPv6": ("2001:db8:1::1", ("203.0.113.9",), "203.0.113.9"),
    "a caller with IPv6": ("10.0.0.1", ("2001:DB8:2:0::9",), "2001:db8:2::9"),
    "a port": ("10.0.0.1", ("203.0.113.9:51234",), "203.0.113.9"),
    "brackets": ("10.0.0.1", ("[2001:db8:2::9]",), "2001:db8:2::9"),
    "brackets and a port": ("10.0.0.1", ("[2001:db8:2::9]:51234",), "2001:db8:2::9"),
    "a trusted hop with a port": ("10.0.0.1", ("203.0.113.9, 10.0.0.2:80",), "203.0.113.9"),
    "spaces and tabs": ("10.0.0.1", (" \t203.0.113.9\t , \t10.0.0.2 ",), "203.0.113.9"),
    "no spaces": ("10.0.0.1", ("203.0.113.9,10.0.0.2",), "203.0.113.9"),
    "an IPv4 peer in IPv6": ("::ffff:10.0.0.1", ("203.0.113.9",), "203.0.113.9"),
    "an IPv4 hop in IPv6": ("10.0.0.1", ("::ffff:203.0.113.9, ::ffff:10.0.0.2",), "203.0.113.9"),
    "an IPv4 hop in IPv6, in hexadecimal": ("10.0.0.1", ("[::ffff:cb00:7109]:80",), "203.0.113.9"),
    "a peer with a zone": ("fe80::1%eth0", (), "fe80::1"),
    "as many hops as there may be": ("10.0.0.1", (",".join(["203.0.113.9", *["10.0.0.2"] * (HOPS_MOST - 1)]),),
                                     "203.0.113.9"),
    "one hop more": ("10.0.0.1", (",".join(["203.0.113.9", *["10.0.0.2"] * HOPS_MOST]),), None),
    "hundreds of hops": ("10.0.0.1", ("10.0.0.2," * 500 + "10.0.0.2",), None),
    "hundreds of lines": ("10.0.0.1", ("10.0.0.2",) * 500, None),
    "hundreds of hops that nobody has to look at": ("10.0.0.1", ("x," * 5000 + "203.0.113.9",), "203.0.113.9"),
    "a hop that is no address": ("10.0.0.1", ("203.0.113.9, nonsense, 10.0.0.2",), None),
    "an empty header": ("10.0.0.1", ("",), None),
    "an empty hop": ("10.0.0.1", ("203.0.113.9, , 10.0.0.2",), None),
    "a comma at the end": ("10.0.0.1", ("203.0.113.9,",), None),
    "an empty line": ("10.0.0.1", ("203.0.113.9", ""), None),
    "a proxy that does not tell": ("10.0.0.1", ("unknown",), None),
    "a name of RFC 7239": ("10.0.0.1", ("_hidden",), None),
    "a pair of RFC 7239": ("10.0.0.1", ('for="203.0.113.9"',), None),
    "a host name": ("10.0.0.1", ("caller.example.com",), None),
    "quotes": ("10.0.0.1", ('"203.0.113.9"',), None),
    "too few parts": ("10.0.0.1", ("203.0.113",), None),
    "too large a part": ("10.0.0.1", ("203.0.113.256",), None),
    "a part with a zero before it": ("10.0.0.1", ("203.0.113.09",), None),
    "a number": ("10.0.0.1", ("3405803785",), None),
    "a network": ("10.0.0.1", ("203.0.113.0/24",), None),
    "a port of letters": ("10.0.0.1", ("203.0.113.9:http",), None),
    "a port without end": ("10.0.0.1", ("203.0.113.9:123456",), None),
    "a port of nothing": ("10.0.0.1", ("203.0.113.9:",), None),
    "IPv4 in brackets": ("10.0.0.1", ("[203.0.113.9]",), None),
    "a bracket that is not closed": ("10.0.0.1", ("[2001:db8:2::9",), None),
    "a hop with a zone": ("10.0.0.1", ("fe80::1%eth0",), None),
    "NUL": ("10.0.0.1", ("203.0.113.9\x00",), None),
    "digits of another script": ("10.0.0.1", ("²03.0.113.9",), None),
    "a peer that nobody knows": ("", (), None),
    "a peer without an address": ("somewhere", ("203.0.113.9",), None),
}  # fmt: skip


@pytest.mark.parametrize(("peer", "lines", "counts"), CASES.values(), ids=list(CASES))
def test_a_request_comes_from_whom_trusted_proxies_name(peer: str, lines: tuple[str, ...], counts: str | None) -> None:
    """From the right, the first address that is no trusted proxy's counts; one that can't be read is a denial."""
    found = origin(peer, [line.encode("latin-1") for line in lines], TRUSTED)
    assert found == (ip_address(counts) if counts else None)


@pytest.mark.parametrize(("peer", "lines", "counts"), CASES.values(), ids=list(CASES))
def test_without_trusted_proxies_the_peer_counts(peer: str, lines: tuple[str, ...], counts: str | None) -> None:
    """Where no proxy is trusted nothing that a request says of its origin is even looked at."""
    assert origin(peer, [line.encode("latin-1") for line in lines], ()) == origin(peer, (), ())
