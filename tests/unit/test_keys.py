"""A key's text: a typing error is seen without asking anybody, and what it opens is told by its scopes."""

import string
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from retailos.keys import ADMIN, DEFAULT_SCOPES, Key
from retailos.keys.text import Parts, digested, draw, taken_apart, written

PARTS = Parts("dev", "0123456789", "abcdefghijklmnopqrstuvwxyzABCDEF")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SOON, LATER, FOREVER = NOW + SECOND, NOW + 2 * SECOND, datetime.max.replace(tzinfo=UTC)
ROTATING = {"former_digest": b"former", "former_until": SOON}


def key(**fields: Any) -> Key:
    """A living key with no scopes, or as told."""
    plain: dict[str, Any] = {"id": "0123456789", "name": "x", "digest": b"", "scopes": frozenset()}
    return Key(**(plain | {"expires_at": None, "revoked_at": None} | fields))


def test_a_key_reads_as_it_was_written() -> None:
    """The text of a key has its environment, its id, its secret and check digits, and is taken apart again."""
    text = written(PARTS)
    assert text.startswith("rk_dev_0123456789_abcdefghijklmnopqrstuvwxyzABCDEF_")
    assert len(text.rpartition("_")[2]) == 6
    assert taken_apart(text) == PARTS
    drawn = draw("live1")
    assert taken_apart(written(drawn)) == drawn
    assert draw("live1", drawn.id).id == drawn.id


def test_every_mistyped_character_is_noticed() -> None:
    """A key in which any one character is another, missing or doubled is no key."""
    text = written(PARTS)
    for i, right in enumerate(text):
        wrong = next(each for each in string.ascii_letters if each != right)
        assert taken_apart(text[:i] + wrong + text[i + 1 :]) is None
        assert taken_apart(text[:i] + text[i + 1 :]) is None
        assert taken_apart(text[:i] + right + text[i:]) is None


@pytest.mark.parametrize(
    "text", ["", "_", "____", "rk____", "x" * 10_000, "rk_dev_é_x_y", "rk_" * 10, "\x00", "rk_dev_" + "0" * 49]
)
def test_what_is_no_key_is_none(text: str) -> None:
    """Whatever is sent in place of a key is taken for none."""
    assert taken_apart(text) is None


def test_swapped_characters_are_noticed() -> None:
    """Two neighbours in each other's place change the check digits."""
    text = written(PARTS)
    for i in range(len(text) - 1):
        swapped = text[:i] + text[i + 1] + text[i] + text[i + 2 :]
        assert swapped == text or taken_apart(swapped) is None


def test_a_digest_depends_on_the_pepper() -> None:
    """The same secret has another digest in another installation, and the digest does not show it."""
    one, two = digested("secret", b"a" * 32), digested("secret", b"b" * 32)
    assert one != two
    assert len(one) == len(two) == 32
    assert b"secret" not in one


@pytest.mark.parametrize(
    ("scopes", "allowed", "refused"),
    [
        (("customer:read",), ("customer:read",), ("customer:write", "store:read", ADMIN)),
        (("*:read",), ("customer:read", "store:read"), ("customer:write", ADMIN)),
        (DEFAULT_SCOPES, ("customer:read", "store:write"), (ADMIN,)),
        ((ADMIN,), (ADMIN,), ("customer:read", "customer:write")),
        (("*:*",), (), (ADMIN, "customer:read")),
        ((), (), ("customer:read", ADMIN)),
    ],
)
def test_a_scope_opens_what_it_names(
    scopes: tuple[str, ...], allowed: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    """A scope allows its verb on its resource or on all, and the administration only by its own name."""
    made = key(scopes=frozenset(scopes))
    assert all(map(made.allows, allowed))
    assert not any(map(made.allows, refused))


@pytest.mark.parametrize(
    ("fields", "current", "former"),
    [
        ({}, FOREVER, None),
        ({"expires_at": SOON}, SOON, None),
        ({"expires_at": NOW}, None, None),
        ({"expires_at": NOW - SECOND}, None, None),
        ({"revoked_at": NOW - SECOND}, None, None),
        ({"revoked_at": NOW - SECOND, "expires_at": SOON}, None, None),
        (ROTATING, FOREVER, SOON),
        (ROTATING | {"former_until": NOW}, FOREVER, None),
        (ROTATING | {"expires_at": LATER}, LATER, SOON),
        (ROTATING | {"expires_at": SOON, "former_until": LATER}, SOON, SOON),
        (ROTATING | {"expires_at": NOW}, None, None),
        (ROTATING | {"revoked_at": NOW}, None, None),
    ],
)
def test_a_key_opens_until_it_ends(fields: dict[str, Any], current: datetime | None, former: datetime | None) -> None:
    """A key's secrets open until it expires or is revoked, and the former one until its time of grace is over."""
    made = key(digest=b"current", **fields)
    assert made.opens_until(b"current", NOW) == current
    assert made.opens_until(b"former", NOW) == former
    assert made.opens_until(b"another", NOW) is None
    assert made.opens_until(b"", NOW) is None


def test_a_key_is_used_from_its_networks() -> None:
    """A key with networks of its own is admitted from there alone, and never from nowhere."""
    made = key(networks=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")))
    for address in ("10.255.0.1", "2001:db8::1"):
        assert made.admits(ip_address(address))
    for address in ("11.0.0.1", "2001:db9::1"):
        assert not made.admits(ip_address(address))
    assert not made.admits(None)
    assert key().admits(None)
