"""The keys that seal secrets, from the command line: made, kept in their file, changed, and missed by the doctor."""

import stat
from pathlib import Path
from typing import Any

import msgspec

from retailos.secrets import new_key, read_ring
from tests.acceptance.program import ran

ADDING = ("webhook", "add", "--name", "erp", "--resource", "customer", "--url", "https://erp.example.com/v1/x")
HEADER = ("--header", "Authorization: API_KEY secret")


async def finding(name: str, *arguments: str, **settings: str) -> tuple[bool, str]:
    """What the doctor says of one thing."""
    ended = await ran("doctor", "--output", "json", *arguments, cwd=None, **settings)
    found: list[dict[str, Any]] = msgspec.json.decode(ended.out)
    [one] = [each for each in found if each["name"] == name]
    return one["good"], one["said"]


async def test_an_embedded_database_has_keys_of_its_own(used_dir: Path) -> None:
    """Secrets can be saved at once; the key is in a file for its user alone, and a new one goes before it."""
    here = ("--data-dir", str(used_dir))
    added = await ran(*ADDING, *HEADER, *here, "--output", "json")
    assert added.code == 0, added.err
    assert msgspec.json.decode(added.out)["headers"] == {"Authorization": "***"}
    file = used_dir / "encryption.keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = read_ring(file.read_text())
    assert await finding("secrets", *here) == (True, f"1 sealed with the key {first.newest}")
    made = await ran("secrets", "new-key", *here)
    assert "retailos secrets rotate" in made.out
    assert "rek_" not in made.out
    both = read_ring(file.read_text())
    assert (stat.S_IMODE(file.stat().st_mode), list(both.keys)[1:]) == (0o600, list(first.keys))
    assert await finding("secrets", *here) == (
        False,
        "1 are sealed with an older key; run: retailos secrets rotate",
    )
    rotated = await ran("secrets", "rotate", *here, "--output", "json")
    assert msgspec.json.decode(rotated.out) == {"sealed": 1, "left": 0}
    assert await finding("secrets", *here) == (True, f"1 sealed with the key {both.newest}")
    file.chmod(0o644)
    refused = await ran("webhook", "list", *here)
    assert (refused.code, f"chmod 600 {file}" in refused.err) == (1, True)


async def test_a_database_of_yours_needs_a_key_in_the_settings(database: str) -> None:
    """Without a key a secret is refused with what to do; new-key prints one that works as it is."""
    refused = await ran(*ADDING, *HEADER, database_url=database)
    assert (refused.code, "retailos secrets new-key makes one" in refused.err) == (1, True)
    made = await ran("secrets", "new-key", database_url=database)
    key = made.out.strip()
    assert (made.code, len(read_ring(key).keys)) == (0, 1)
    added = await ran(*ADDING, *HEADER, database_url=database, encryption_keys=key)
    assert added.code == 0, added.err
    lost = {"database_url": database, "encryption_keys": new_key()}
    good, said = await finding("secrets", **lost)
    assert (good, "put it back into RETAILOS_ENCRYPTION_KEYS" in said) == (False, True)
    left = await ran("secrets", "rotate", cwd=None, **lost)
    assert (left.code, "1 are left" in left.out) == (1, True)
    assert "retailos secrets new-key" in (await ran("secrets", "rotate", database_url=database)).err
