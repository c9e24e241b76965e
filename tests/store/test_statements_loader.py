"""SQL files beside their modules are loaded whole, by name, and mistakes in them are found at import."""

from pathlib import Path

import pytest

from retailos.database.statements import load

GOOD = """-- name: claim
-- Takes what is due, oldest first.
delete from due
where due_at <= now()  -- the database's clock decides
returning *;

-- name: settle
-- Writes down what an attempt came to,
-- in one update.
update delivery set status = $1;
"""


def write(directory: Path, text: str) -> Path:
    """A module file with these statements beside it."""
    (directory / "worker.sql").write_text(text)
    return directory / "worker.py"


def test_each_statement_is_an_attribute(tmp_path: Path) -> None:
    """A statement is asked for by its name, and comes without its heading and its closing semicolon."""
    statements = load(write(tmp_path, GOOD))
    assert statements.settle == "update delivery set status = $1"
    assert statements.claim.startswith("delete from due\n")
    assert statements.claim.endswith("returning *")


def test_statements_are_iterated_in_order(tmp_path: Path) -> None:
    """All statements of a file can be walked, so that a test can prepare each."""
    assert [name for name, _ in load(str(write(tmp_path, GOOD)))] == ["claim", "settle"]


def test_misspelt_name_names_the_right_one(tmp_path: Path) -> None:
    """A misspelt statement fails with the name that was meant and all that there are."""
    with pytest.raises(AttributeError, match=r"worker.sql has no statement 'clam'; did you mean 'claim'\? .*settle"):
        load(write(tmp_path, GOOD)).clam  # noqa: B018


@pytest.mark.parametrize(
    "text",
    [
        "select 1;",
        "-- name: claim\nselect 1;",
        "-- name: claim\n--\nselect 1;",
        "-- name: claim\n-- Takes what is due.\n",
        "-- name: claim\n-- Takes what is due.\n;",
        "-- name: Claim it\n-- Takes what is due.\nselect 1;",
        "-- name: claim\n-- One.\nselect 1;\n-- name: claim\n-- Two.\nselect 2;",
    ],
    ids=["no name", "no comment", "empty comment", "no SQL", "only a semicolon", "no identifier", "same name twice"],
)
def test_broken_file_is_refused(tmp_path: Path, text: str) -> None:
    """A file that breaks the form is refused with what was expected and what came."""
    with pytest.raises(ValueError, match=r"worker.sql: expected '-- name: new_name', a comment.*got '"):
        load(write(tmp_path, text))
