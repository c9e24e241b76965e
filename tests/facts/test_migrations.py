"""Migrations leave the version before at work, or say why they may take away what it knows."""

import re
from collections.abc import Iterator

import pytest

from retailos.database.migrate import MIGRATIONS, Migration, read

#: Nothing was released before this one.
FREE = 35
#: What takes away what a statement may rely on, or refuses what it may write.
TAKES_AWAY = re.compile(
    r"\b(drop\s+(table|column|constraint|function|trigger|type|view|default)|rename\s+(to|column|constraint)"
    r"|alter\s+column\s+\w+\s+(type|set\s+not\s+null)|add\s+(constraint|unique|check|primary|foreign)|create\s+unique\s+index"
    r"|add\s+column\s+\w+\s+[^,;]*\bnot\s+null\b(?![^,;]*\bdefault\b))",
    re.IGNORECASE,
)
SAYS_WHY = re.compile(r"^-- The version before: \S", re.MULTILINE)


def taken_away(migration: Migration) -> Iterator[str]:
    """What a migration takes away without saying why the version before goes on."""
    statements = re.sub(r"--[^\n]*", "", migration.sql)
    if migration.number > FREE and not SAYS_WHY.search(migration.sql):
        yield from (each[0] for each in TAKES_AWAY.finditer(statements))


def test_the_version_before_goes_on() -> None:
    """While a database is migrated, processes of the version before work on it (docs/decisions/0060)."""
    found = {each.name: list(taken_away(each)) for each in read(MIGRATIONS)}
    told = [f"{name}: {', '.join(what)}" for name, what in found.items() if what]
    assert not told, "say `-- The version before: …`, why it goes on, or take it away a version later:\n" + "\n".join(
        told
    )


@pytest.mark.parametrize(
    ("sql", "refused"),
    [
        ("alter table parked drop constraint parked_key;", True),
        ("alter table parked add column by_key boolean not null;", True),
        ("alter table parked add column by_key boolean not null default false, add column more text;", False),
        ("-- Does not drop table job.\ncreate table more (id uuid primary key);", False),
        ("-- The version before: it never had this index.\ncreate unique index on more (id);", False),
        ("create or replace function f() returns void language sql as 'select 1';", False),
    ],
)
def test_what_takes_away_is_told_from_what_adds(sql: str, refused: bool) -> None:
    """Of two files the one that takes something away is found, unless it says why it may."""
    assert bool(list(taken_away(Migration(number=FREE + 1, name="x", sql=sql)))) is refused
