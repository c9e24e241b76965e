"""Secrets are sealed with the first key of the ring, opened with any, and nowhere but in their own place."""

from dataclasses import replace

import pytest

from retailos.errors import ConfigurationError
from retailos.secrets import NO_RING, Locked, Owner, new_key, read_ring
from retailos.secrets.ring import Sealed
from retailos.settings import load

OWNER = Owner(table="webhook", row="1")


def test_what_is_sealed_is_opened_and_not_read() -> None:
    """The sealed bytes hold nothing of the secret, and are others each time."""
    ring = read_ring(new_key())
    sealed, again = (ring.seal(OWNER, "headers", b"a secret of ours") for _ in range(2))
    assert sealed.data != again.data
    assert b"secret" not in sealed.data
    assert ring.open(OWNER, "headers", sealed) == b"a secret of ours"


def test_a_secret_opens_in_its_own_place_only() -> None:
    """Another row, table, name or key id than it was sealed under does not open it, nor do changed bytes."""
    old, new = new_key(), new_key()
    ring = read_ring(f"{old},{new}")
    sealed = ring.seal(OWNER, "headers", b"x")
    for owner, name in (
        (replace(OWNER, row="2"), "headers"),
        (replace(OWNER, table="report"), "headers"),
        (OWNER, "credentials"),
    ):
        with pytest.raises(Locked):
            ring.open(owner, name, sealed)
    other = next(each for each in ring.keys if each != sealed.key_id)
    changed = bytes([sealed.data[0] ^ 1]) + sealed.data[1:]
    for wrong in (Sealed(other, sealed.data), Sealed(sealed.key_id, changed), Sealed(sealed.key_id, bytes(28))):
        with pytest.raises(Locked):
            ring.open(OWNER, "headers", wrong)


def test_the_first_key_seals_and_each_opens() -> None:
    """A new key goes before the others; what they have sealed is opened still, and by its own key alone."""
    old, new = new_key(), new_key()
    before = read_ring(old).seal(OWNER, "headers", b"x")
    both = read_ring(f" {new},\n{old}\n")
    assert both.open(OWNER, "headers", before) == b"x"
    assert both.seal(OWNER, "headers", b"x").key_id == read_ring(new).newest
    with pytest.raises(Locked, match="RETAILOS_ENCRYPTION_KEYS"):
        read_ring(new).open(OWNER, "headers", before)


def test_without_a_key_nothing_is_sealed() -> None:
    """Who would save a secret without a key learns what to do."""
    assert read_ring(None) == NO_RING
    with pytest.raises(ConfigurationError, match="retailos secrets new-key"):
        NO_RING.seal(OWNER, "headers", b"x")


def test_a_ring_does_not_show_its_keys() -> None:
    """What is printed of a ring or of the settings holds no key."""
    key = new_key()
    assert key[8:] not in repr(load({}, encryption_keys=key))
    assert str(read_ring(key)) == "Ring()"


@pytest.mark.parametrize(
    "text",
    ["rek_=", "rek_x", "rek_short", f"rek_{'ä' * 43}", "x" * 47, f"rek_{'A' * 44}", f"rek_{'A' * 43};rek_{'B' * 43}"],
)
def test_what_is_no_key_is_no_setting(text: str) -> None:
    """A key that was cut or mistyped is refused when the program starts, without being shown."""
    with pytest.raises(ConfigurationError, match="not shown") as caught:
        load({}, encryption_keys=text)
    assert text not in str(caught.value)
