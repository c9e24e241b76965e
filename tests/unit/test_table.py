"""The tables are written from the declarations, and the migration holds the same text."""

from pathlib import Path

import pytest

from retailos import database
from retailos.declare.resource import Resource
from retailos.records.table import add_columns, body_text, create_table, generated, unique_index
from retailos.resources import RESOURCES

MIGRATIONS = Path(database.__file__).parent / "migrations"


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)
def test_a_migration_holds_the_declared_table(resource: Resource) -> None:
    """What a declaration demands of the database stands in a migration, word for word."""
    migrations = "\n".join(each.read_text(encoding="utf-8") for each in sorted(MIGRATIONS.glob("*.sql")))
    assert create_table(resource).strip() in migrations
    assert add_columns(resource).strip() in migrations


def test_a_column_is_generated_from_the_body() -> None:
    """Each kind of field has its column made of the body, in a type that compares rightly whatever the locale."""
    customer, store = RESOURCES["customer"], RESOURCES["store"]
    assert generated(customer, "lastName") == (
        "last_name text collate \"C\" generated always as (lower((body->>'lastName'))) stored"
    )
    assert generated(customer, "registeredAtId") == (
        "registered_at_id uuid generated always as (((body->>'registeredAtId'))::uuid) stored"
    )
    assert (
        generated(store, "latitude") == "latitude numeric generated always as (((body->>'latitude'))::numeric) stored"
    )
    assert "to_date" not in generated(customer, "dob")


def test_a_path_reaches_into_the_body() -> None:
    """A plain field is a member of the body, a path a member of a member."""
    assert body_text("email") == "(body->>'email')"
    assert body_text("address.postCode", "r.body") == "(r.body#>>'{address,postCode}')"


def test_a_unique_field_is_known_by_its_index() -> None:
    """What the database says was taken leads back to the field, and the deleted do not count."""
    assert unique_index(RESOURCES["user"], "username") == "users_username_unique"
    assert "users_username_unique on users (username) where deleted_at is null" in create_table(RESOURCES["user"])


def test_only_what_leads_somewhere_is_indexed() -> None:
    """References have a partial index, and those that are never looked up by none."""
    made = create_table(RESOURCES["customer"])
    assert "create index customers_territory_id on customers (territory_id) where territory_id is not null;" in made
    assert "preferred_store" not in made
    assert "create index customers_updated_at on customers (updated_at, id);" in made
