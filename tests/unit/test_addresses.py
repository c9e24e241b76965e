"""Webhooks reach public addresses, what an operator lists, and nothing else, however it is written."""

import asyncio
import ipaddress
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retailos.errors import ConfigurationError
from retailos.exchanges import addresses
from retailos.exchanges.addresses import Policy, Refused, Resolve, Vetted, judge, vet
from retailos.exchanges.exchange import ErrorClass
from retailos.exchanges.networks import IPAddress, carried, read_networks

PUBLIC = Policy()
LOCAL = Policy(allow=read_networks(["127.0.0.0/8", "::1/128", "10.20.0.0/16", "fd12:3456::/32"]))
EVERYTHING = Policy(allow=read_networks(["0.0.0.0/0", "::/0"]), https_only=False)

FORBIDDEN = [
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "254.1.2.3",
    "255.255.255.255",
    "::",
    "::1",
    "::2",
    "100::1",
    "200::1",
    "1000::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fdff::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC_ADDRESSES = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2606:4700:4700::1111",
    "2a00:1450:4009::8a",
    "3ffe::1",
]
METADATA = [
    "169.254.169.254",
    "169.254.0.23",
    "169.254.170.2",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "fe80::1",
    "febf::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fd00:42::42",
]


def written_in_ipv6(inner: str) -> list[str]:
    """Every IPv6 address that carries an IPv4 one in the place for it."""
    four = IPv4Address(inner)
    high, low = int(four) >> 16, int(four) & 0xFFFF
    flipped = int(four) ^ 0xFFFFFFFF
    return [
        f"::{inner}",
        f"::ffff:{inner}",
        f"::ffff:0:{inner}",
        f"64:ff9b::{inner}",
        f"64:ff9b:1::{inner}",
        f"2002:{high:x}:{low:x}::1",
        f"2001:0:808:808::{flipped >> 16:x}:{flipped & 0xFFFF:x}",
    ]


@pytest.mark.parametrize("text", FORBIDDEN + METADATA)
def test_what_is_not_public_is_refused(text: str) -> None:
    """Loopback, private, shared, reserved and all other special networks are closed by default."""
    assert judge(ip_address(text), PUBLIC)


@pytest.mark.parametrize("text", PUBLIC_ADDRESSES)
def test_what_is_public_is_open(text: str) -> None:
    """Both neighbours of every special network are judged by themselves."""
    assert judge(ip_address(text), PUBLIC) is None


@pytest.mark.parametrize("text", METADATA)
def test_metadata_stays_closed_whatever_the_policy_allows(text: str) -> None:
    """No list of networks opens the way to a machine's own credentials."""
    assert "no setting allows" in str(judge(ip_address(text), EVERYTHING))


@pytest.mark.parametrize("inner", ["127.0.0.1", "10.20.0.1", "192.168.1.1", "0.0.0.1", "224.0.0.1", *METADATA[:5]])
def test_an_ipv4_address_does_not_hide_in_an_ipv6_one(inner: str) -> None:
    """Mapped, compatible, translated, NAT64, 6to4 and Teredo addresses are judged by the IPv4 inside."""
    for text in written_in_ipv6(inner):
        assert judge(IPv6Address(text), PUBLIC), text


@pytest.mark.parametrize("inner", ["1.1.1.1", "8.8.8.8"])
def test_a_public_ipv4_address_stays_public_inside_an_ipv6_one(inner: str) -> None:
    """A network that reaches IPv4 by NAT64 can use webhooks."""
    assert [text for text in written_in_ipv6(inner) if judge(IPv6Address(text), PUBLIC)] == []


def test_what_is_allowed_is_allowed_in_every_form() -> None:
    """An allowed IPv4 network is also reached through its IPv6 forms, all but Teredo, whose server counts as well."""
    assert [text for text in written_in_ipv6("10.20.0.1")[:-1] if judge(IPv6Address(text), LOCAL)] == []


@pytest.mark.parametrize(
    "text",
    [
        "64:ff9b:1:a9fe:a9:fe00::",  # a prefix of 48 bits
        "64:ff9b:1:a9fe:a9:fe00:808:808",
        "64:ff9b:1:a9:fe:a9fe::",  # 56
        "64:ff9b:1:a9:fe:a9fe:808:808",
        "64:ff9b:1:0:a9:fea9:fe00:0",  # 64
        "64:ff9b:1:ffff::a9fe:a9fe",  # 96
    ],
)
def test_local_nat64_prefixes_are_read_at_every_length(text: str) -> None:
    """Where an operator has cut the local NAT64 prefix is unknown, so no reading may lead to a forbidden address."""
    assert judge(IPv6Address(text), EVERYTHING)


def test_a_local_nat64_prefix_alone_leads_nowhere() -> None:
    """An address in which no IPv4 can be read stays closed."""
    assert judge(IPv6Address("64:ff9b:1::"), PUBLIC)


def test_teredo_is_judged_by_its_server_too() -> None:
    """A Teredo packet passes two IPv4 addresses."""
    assert carried_texts("2001:0:a9fe:a9fe::f7f7:f7f7") == ["169.254.169.254", "8.8.8.8"]
    assert judge(IPv6Address("2001:0:a9fe:a9fe::f7f7:f7f7"), PUBLIC)


def carried_texts(text: str) -> list[str]:
    """The IPv4 addresses inside an IPv6 one."""
    return [str(each) for each in carried(IPv6Address(text))]


def test_a_zone_is_refused() -> None:
    """An address that means something on one machine only can't be a receiver's."""
    for text in ("fe80::1%eth0", "::1%lo", "2606:4700::1%1", "::ffff:8.8.8.8%1"):
        assert judge(ip_address(text), EVERYTHING), text


def test_the_refusal_names_the_remedy() -> None:
    """An operator whose receiver is inside the network reads which setting opens it."""
    assert judge(ip_address("10.0.0.1"), PUBLIC) == (
        "10.0.0.1 is private; if this receiver is meant, list its network in RETAILOS_ALLOW_ADDRESSES"
    )


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_that_python_calls_private_is_open(address: IPv4Address) -> None:
    """Our table is at least as strict as the standard library's, which differs between versions."""
    if judge(address, PUBLIC) is None:
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=6))
def test_no_ipv6_address_outside_global_unicast_is_open(address: IPv6Address) -> None:
    """What is open lies in 2000::/3, or carries an IPv4 address that is open."""
    inner = tuple(carried(address))
    if judge(address, PUBLIC) is None:
        assert address in ipaddress.ip_network("2000::/3") or inner
        assert all(judge(each, PUBLIC) is None for each in inner)


def test_networks_are_read_strictly() -> None:
    """A network that is mistyped is an error at start, not a hole."""
    assert read_networks([" 10.0.0.0/8 ", "::1", "127.0.0.1", "::ffff:10.20.0.0/112"]) == tuple(
        map(ipaddress.ip_network, ("10.0.0.0/8", "::1/128", "127.0.0.1/32", "10.20.0.0/16"))
    )
    for text in ("10.0.0.1/8", "10.0.0.0/33", "localhost", "", "10.0.0.0/8,::1"):
        with pytest.raises(ConfigurationError, match="RETAILOS_ALLOW_ADDRESSES: expected networks"):
            read_networks([text])


def answering(*texts: str) -> Resolve:
    """A name server that knows these addresses for every name."""

    async def resolve(host: str, port: int) -> Sequence[IPAddress]:
        return tuple(map(ip_address, texts))

    return resolve


async def test_a_host_with_public_addresses_is_vetted() -> None:
    """All addresses are handed over, to be pinned."""
    vetted = await vet("erp.example.com", 443, PUBLIC, resolve=answering("8.8.8.8", "2606:4700::1"))
    expected = (ip_address("8.8.8.8"), ip_address("2606:4700::1"))
    assert vetted == Vetted(host="erp.example.com", port=443, addresses=expected)


@pytest.mark.parametrize("forbidden", ["10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::a00:1", "::1"])
async def test_one_forbidden_address_refuses_the_host(forbidden: str) -> None:
    """A name that mixes public and internal addresses is refused as a whole."""
    refused = await vet("erp.example.com", 443, PUBLIC, resolve=answering("8.8.8.8", forbidden))
    assert isinstance(refused, Refused)
    assert refused.error_class is ErrorClass.BLOCKED_ADDRESS
    assert str(ip_address(forbidden)) in refused.reason


@pytest.mark.parametrize(
    ("scheme", "policy", "address", "passes"),
    [
        ("https", LOCAL, "8.8.8.8", True),
        ("https", LOCAL, "10.20.3.4", True),
        ("https", LOCAL, "10.21.3.4", False),
        ("http", LOCAL, "10.20.3.4", True),
        ("http", LOCAL, "8.8.8.8", False),
        ("http", PUBLIC, "8.8.8.8", False),
        ("http", Policy(https_only=False), "8.8.8.8", True),
        ("http", Policy(https_only=False), "10.20.3.4", False),
        ("http", LOCAL, "fd12:3456::1", True),
        ("http", LOCAL, "::ffff:10.20.3.4", True),
    ],
)
async def test_plain_http_goes_to_allowed_addresses_only(
    scheme: str, policy: Policy, address: str, passes: bool
) -> None:
    """A name under plain http must lead into the allowed networks, unless http is opened to all."""
    vetted = await vet("erp.example.com", 80, policy, scheme=scheme, resolve=answering(address))
    assert isinstance(vetted, Vetted) is passes


async def test_a_name_without_an_address_is_a_dns_error() -> None:
    """Unknown names, empty answers and names that can't be asked for are told apart from blocked addresses."""

    async def unknown(host: str, port: int) -> Sequence[IPAddress]:
        raise OSError(-2, "Name or service not known")

    for resolve in (unknown, answering()):
        refused = await vet("nowhere.example.com", 443, PUBLIC, resolve=resolve)
        assert isinstance(refused, Refused)
        assert refused.error_class is ErrorClass.DNS_ERROR
    for host in ("x" * 64 + ".example", "a\x00b", ""):
        refused = await vet(host, 443, PUBLIC)
        assert isinstance(refused, Refused), host


async def test_a_silent_name_server_is_given_up() -> None:
    """A look-up ends after five seconds at the most, here when its caller's patience does."""

    async def silent(host: str, port: int) -> Sequence[IPAddress]:
        await asyncio.Event().wait()
        return ()

    assert addresses.RESOLVE_TIMEOUT_SECONDS == 5
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await vet("erp.example.com", 443, PUBLIC, resolve=silent)


async def test_the_systems_resolver_is_asked() -> None:
    """This machine's own name leads to loopback, whichever forms of it exist here; numbers need no look-up."""
    vetted = await vet("localhost", 80, LOCAL, scheme="http")
    assert isinstance(vetted, Vetted)
    assert set(vetted.addresses) <= {ip_address("127.0.0.1"), ip_address("::1")}
    for host in ("127.0.0.1", "[::1]", "::1"):
        assert isinstance(await vet(host, 80, LOCAL, scheme="http"), Vetted)
        assert isinstance(await vet(host, 80, PUBLIC), Refused)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0"])
async def test_odd_spellings_of_loopback_are_judged_by_where_they_lead(host: str) -> None:
    """Even past the check of the URL, what the resolver makes of a spelling is what counts."""
    refused = await vet(host, 80, PUBLIC)
    assert isinstance(refused, Refused)
