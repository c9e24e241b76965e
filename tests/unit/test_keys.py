"""A key's text: a typing error is seen without asking anybody, and what it opens is told by its scopes."""

import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from retailos.keys import ADMIN, DEFAULT_SCOPES, Key, Parts, digested, taken_apart, written

PARTS = Parts("0123456789", "abcdefghijklmnopqrstuvwxyzABCDEF")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def key(**fields: Any) -> Key:
    """A living key with no scopes, or as told."""
    plain: dict[str, Any] = {"id": "0123456789", "name": "x", "digest": b"", "scopes": frozenset()}
    return Key(**(plain | {"expires_at": None, "revoked_at": None} | fields))


def test_a_key_reads_as_it_was_written() -> None:
    """The text of a key has its environment, its id, its secret and check digits, and is taken apart again."""
    text = written("dev", PARTS)
    assert text.startswith("rk_dev_0123456789_abcdefghijklmnopqrstuvwxyzABCDEF_")
    assert len(text.rpartition("_")[2]) == 6
    assert taken_apart(text) == PARTS
    assert taken_apart(written("live1", PARTS)) == PARTS


def test_every_mistyped_character_is_noticed() -> None:
    """A key in which any one character is another, missing or doubled is no key."""
    text = written("dev", PARTS)
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
    text = written("dev", PARTS)
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


def test_a_key_lives_until_it_expires_or_is_revoked() -> None:
    """From the moment of its expiry on, or once it was revoked, a key is dead."""
    second = timedelta(seconds=1)
    assert key().lives(NOW)
    assert key(expires_at=NOW + second).lives(NOW)
    assert not key(expires_at=NOW).lives(NOW)
    assert not key(expires_at=NOW - second).lives(NOW)
    assert not key(revoked_at=NOW - second).lives(NOW)
    assert not key(revoked_at=NOW - second, expires_at=NOW + second).lives(NOW)
