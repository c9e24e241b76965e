"""Which addresses a webhook may reach, by a table of our own: judged when it is saved and again when it connects."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from retailos.errors import Problem
from retailos.exchanges.exchange import ErrorClass
from retailos.exchanges.networks import FORBIDDEN, GLOBAL_UNICAST, NEVER, IPAddress, IPNetwork, carried, within

#: Host and port to all of the host's addresses; OSError where it has none.
Resolve = Callable[[str, int], Awaitable[Sequence[IPAddress]]]

URL_LIMIT: Final = 2_048
#: Seconds for a name server to answer; as long as a connection may take.
RESOLVE_TIMEOUT_SECONDS: Final = 5.0
_REMEDY: Final = "if this receiver is meant, list its network in RETAILOS_ALLOW_ADDRESSES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Where webhooks may go: public addresses, and besides them the networks of `allow`.

    With `https_only`, plain http reaches only addresses that stand in `allow`.
    """

    allow: tuple[IPNetwork, ...] = ()
    https_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Vetted:
    """A host whose every address passed; connections go to these and to no other."""

    host: str
    port: int
    addresses: tuple[IPAddress, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A host that is not connected to: `dns_error` or `blocked_address`, and why, for people."""

    error_class: ErrorClass
    reason: str


async def resolve(host: str, port: int) -> Sequence[IPAddress]:
    """Ask the system's resolver for all addresses of a host, in its order of preference; OSError if there are none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ip_address(socket_address[0]) for *_, socket_address in found))


async def vet(
    host: str, port: int, policy: Policy, *, scheme: str = "https", resolve: Resolve = resolve
) -> Vetted | Refused:
    """Resolve a host and refuse it if any one of its addresses is forbidden; what passes is pinned by the caller."""
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_SECONDS):
            addresses = await _addresses_of(host.strip("[]"), port, resolve)
    except TimeoutError:
        return Refused(error_class=ErrorClass.DNS_ERROR, reason="the name server did not answer in time")
    except (OSError, ValueError) as error:
        return Refused(error_class=ErrorClass.DNS_ERROR, reason=f"the host's name has no address: {error}"[:200])
    plain = scheme != "https" and policy.https_only
    reason = _first(_judge_plain(each, policy) if plain else judge(each, policy) for each in addresses)
    if reason:
        return Refused(error_class=ErrorClass.BLOCKED_ADDRESS, reason=reason)
    return Vetted(host=host, port=port, addresses=addresses)


async def _addresses_of(host: str, port: int, resolve: Resolve) -> tuple[IPAddress, ...]:
    try:
        return (ip_address(host),)
    except ValueError:
        addresses = tuple(await resolve(host, port))
    if not addresses:
        raise OSError("the answer was empty")
    return addresses


def judge(address: IPAddress, policy: Policy) -> str | None:
    """Say why an address is forbidden, None if it is not; an IPv6 address that carries an IPv4 is judged by that."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return f"{address} has a zone, which means something on one machine only"
        if inner := tuple(carried(address)):
            reason = _first(judge(each, policy) for each in inner)
            return f"{address} stands for another address: {reason}" if reason else None
    if within(address, NEVER):
        return f"{address} is link-local or a cloud's metadata service, which no setting allows"
    if within(address, policy.allow):
        return None
    what = _first(what for network, what in FORBIDDEN if address in network)
    if what is None and isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        what = "not a public address"
    return f"{address} is {what}; {_REMEDY}" if what else None


def _judge_plain(address: IPAddress, policy: Policy) -> str | None:
    """As `judge`, for plain http, to which the public addresses are closed as well."""
    reason = judge(address, policy)
    if reason is None and not _stands_in(address, policy.allow):
        return f"{address} is a public address, to which only https goes; {_REMEDY}"
    return reason


def _stands_in(address: IPAddress, networks: tuple[IPNetwork, ...]) -> bool:
    inner = tuple(carried(address)) if isinstance(address, IPv6Address) else ()
    return all(within(each, networks) for each in inner or (address,))


def _first(reasons: Iterable[str | None]) -> str | None:
    return next((reason for reason in reasons if reason), None)


#: A % that escapes nothing.
_MALFORMED: Final = re.compile(r"%(?![0-9a-f]{2})", re.IGNORECASE)
#: A segment that a URL is resolved by, and that is not sent.
_DOTS: Final = re.compile(r"(\.|%2e){1,2}", re.IGNORECASE)
_PRINTABLE: Final = re.compile(r"[!#-;=?-\[\]_a-z{}~]*", re.IGNORECASE | re.ASCII)
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE | re.ASCII)
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE | re.ASCII)
_HOST_LIMIT: Final = 253
_PORTS: Final = range(1, 65_536)
_STANDARD_PORTS: Final = MappingProxyType({"http": 80, "https": 443})


def check_url(url: str, policy: Policy) -> list[Problem]:
    """Every problem of a webhook's URL template that can be told without a look-up; the path is `/url`.

    Placeholders may stand anywhere but in scheme, host and port. With `https_only`, http passes for an address that
    stands in `allow`, and for a name if `allow` has any network at all: `vet` then demands that the name leads there.
    """
    if len(url) > URL_LIMIT:
        return [_problem("TOO_LONG", f"expected at most {URL_LIMIT} characters, got {len(url)}")]
    if not _PRINTABLE.fullmatch(url):
        return [_problem("INVALID_URL", "expected ASCII without spaces, quotes and \\; percent-encode all else")]
    scheme, separator, rest = url.partition("://")
    if not separator:
        return [_problem("INVALID_URL", "expected a URL such as https://erp.example.com/customer/{externalCustomerId}")]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if re.search(r"[{}]", scheme + authority):
        return [_problem("TEMPLATE_IN_HOST", "expected placeholders in the path only, not in scheme, host or port")]
    host, port = _split(authority.rpartition("@")[2])
    problems = [*_check_scheme(scheme.lower(), host, policy), *_check_port(port), *_check_host(host, policy)]
    if "@" in authority:
        problems.append(_problem("USER_INFO", "expected no user and password; make them the webhook's credentials"))
    problems.extend(_check_path(rest[len(authority) :]))
    if "#" in rest:
        problems.append(_problem("FRAGMENT", "expected no #; what follows it is never sent"))
    return problems


def origin_of(url: str) -> tuple[str, str, int]:
    """The scheme, host and port of a URL in which `check_url` finds no problem."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _STANDARD_PORTS.get(parts.scheme, 0)


def _problem(code: str, message: str) -> Problem:
    return Problem("/url", code, message)


def _split(place: str) -> tuple[str, str | None]:
    """Host and port of an authority; an IPv6 address keeps its brackets, a port that is not given is None."""
    bracket = place.rfind("]") + 1
    colon = place.find(":", bracket)
    return (place, None) if colon < 0 else (place[:colon], place[colon + 1 :])


def _check_path(path: str) -> Iterator[Problem]:
    if _MALFORMED.search(path):
        yield _problem("INVALID_URL", "expected two hexadecimal digits behind each %")
    if any(_DOTS.fullmatch(segment) for segment in re.split(r"[?#]", path, maxsplit=1)[0].split("/")):
        yield _problem("INVALID_URL", "expected no . or .. between slashes, which would not be sent as they stand")


def _check_scheme(scheme: str, host: str, policy: Policy) -> list[Problem]:
    if scheme not in ("https", "http"):
        return [_problem("HTTPS_REQUIRED", "expected https")]
    if scheme == "https" or not policy.https_only:
        return []
    address = _literal(host)
    allowed = bool(policy.allow) if address is None else _stands_in(address, policy.allow)
    return [] if allowed else [_problem("HTTPS_REQUIRED", f"expected https, got http; {_REMEDY}")]


def _check_port(port: str | None) -> list[Problem]:
    if port is None or (port.isascii() and port.isdigit() and len(port) < 6 and int(port) in _PORTS):
        return []
    return [_problem("INVALID_PORT", f"expected a port from {_PORTS[0]} to {_PORTS[-1]}")]


def _check_host(host: str, policy: Policy) -> list[Problem]:
    address = _literal(host)
    if address is not None:
        reason = judge(address, policy)
        return [_problem("BLOCKED_ADDRESS", reason)] if reason else []
    labels = host.split(".")
    if host.endswith("."):
        return [_problem("INVALID_HOST", "expected a host without a dot at its end")]
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        return [_problem("INVALID_HOST", "expected an IPv4 address as four decimal numbers without leading zeros")]
    if len(host) > _HOST_LIMIT or not all(_LABEL.fullmatch(label) for label in labels):
        return [_problem("INVALID_HOST", "expected a host name, an IPv4 address or an IPv6 address in brackets")]
    return []


def _literal(host: str) -> IPAddress | None:
    """The address that a host is, as far as it is written the one right way; None for names and all else."""
    try:
        return IPv6Address(host[1:-1]) if host.startswith("[") and host.endswith("]") else IPv4Address(host)
    except ValueError:
        return None
