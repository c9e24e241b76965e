"""Every statement, fixed or composed for every resource, is one that the migrated schema takes, and is used."""

import ast
import importlib
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

import retailos
from retailos.database.migrate import migrate
from retailos.database.pool import Connection
from retailos.database.statements import load
from retailos.declare.field import Field, Reference
from retailos.declare.resource import Resource
from retailos.errors import ValidationFailed
from retailos.records import (
    alike_sql,
    bypassed,
    known_sql,
    merge_sql,
    named_sql,
    page,
    query,
    referring_sql,
    repoint_sql,
    resent_sql,
    sql,
    survivors,
    told_sql,
)
from retailos.records.query import OPERATORS, Filter, Query, filterable, sortable
from retailos.records.told_sql import Wanted
from retailos.resources import RESOURCES

SOURCE = Path(retailos.__file__).parent
FILES = sorted(each for each in SOURCE.rglob("*.sql") if "migrations" not in each.parts)
FIXED = [(file, name, text) for file in FILES for name, text in load(file.with_suffix(".py"))]
EACH_RESOURCE = pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)


@pytest.fixture(scope="module")
async def debian(debian_server: str) -> AsyncIterator[Connection]:
    """A migrated database on the oldest PostgreSQL that is supported."""
    connection = await asyncpg.connect(debian_server)
    try:
        await migrate(connection)
        yield connection
    finally:
        await connection.close()


def composed(resource: Resource) -> Iterator[tuple[str, list[Any]]]:
    """Every statement that is composed for a resource but lists, with good arguments."""
    records, names = [uuid4()], ["x"]
    patch = ['{"name": "X", "firstName": "X"}']
    by_key = [[True]] if resource.natural_key else []
    yield (
        sql.upsert(RESOURCES, resource),
        [names, patch, records, [uuid4()], [None], [uuid4()], ["key"], False, [uuid4()], [0], False, ["[]"], *by_key],
    )
    yield (
        sql.upsert(RESOURCES, resource),
        [names, patch, records, [uuid4()], [None], [None], [None], True, [None], [0], True, [None], *by_key],
    )
    if resource.natural_key:
        yield named_sql.by_natural_key(RESOURCES, resource), [records, [None], [None], names]
    if RESOURCES.referring(resource):
        yield sql.keep_places(resource), [[uuid4()], ["z"]]
        yield sql.clear_places(resource), [records]
    yield sql.delete(resource), [records[0], uuid4(), uuid4(), "key"]
    yield sql.rekey(resource), [records[0], uuid4(), None, None, "y"]
    yield sql.lock(resource), [records[0], None]
    yield sql.lock(resource), [None, "x"]
    yield sql.lock(resource, follow=False), [None, "x"]
    yield named_sql.find(resource), [names, records]
    yield named_sql.find_living(resource), [names, records]
    yield named_sql.external_ids(resource), [records]
    yield known_sql.known_to(resource), [1, records[0], datetime.now(UTC), 10]
    yield known_sql.count_living(resource), []
    yield referring_sql.living(resource), [records[0], 10]
    for reference in resource.references:
        yield referring_sql.referring(resource, reference), [records, records[0], 10]
    yield known_sql.newest(resource), []
    yield resent_sql.unchanged(resource), [names, [b"x"]]
    for rule in resource.differing:
        yield alike_sql.alike(resource, rule), [names, ["{}"]]
    yield known_sql.count_untold(resource), [1]
    yield named_sql.named(resource, "$1"), ["x"]
    for reference in resource.references:
        if reference.levels:
            yield sql.ancestors(resource, reference), [records[0], reference.levels, "x"]
    if resource.mergeable:
        yield from merging(resource, records)
    plain = query.read(RESOURCES, resource, b"").show
    for show in (plain, resource.shown, plain[:1], plain[-1:]):
        yield page.by_id(RESOURCES, resource, show), [records]
        yield page.by_external_id(RESOURCES, resource, show), [names]
    yield from told(resource, records[0])
    for relations in ((), resource.webhook_relations, tuple(resource.reference)):
        yield page.by_ids(RESOURCES, resource, relations), [records]


def told(resource: Resource, record: UUID) -> Iterator[tuple[str, list[Any]]]:
    """What a worker reads of a record for a webhook: plain, and with everything that a webhook can ask for."""
    known = filterable(RESOURCES, resource)
    where = (Filter(resource.external_id.name, "eq", "x"), Filter("id", "in", [record]))
    related = [Filter(path, "in", ["x"]) for path in known if path.partition(".")[0] in resource.reference]
    watched: tuple[Field | Reference, ...] = (*resource.fields.values(), *resource.references)
    address = (resource.fields["updatedAt"],)
    for every in (False, True):
        for keys in ((), ("0123456789",)):
            wanted = Wanted(
                show=resource.shown, address=address, where=(*where, *related), watched=watched, keys=keys, every=every
            )
            statement, values = told_sql.reading(RESOURCES, resource, wanted)
            versions = [[0], [0]] if told_sql.by_claim(wanted) else []
            yield statement, [[record], *versions, *values]
    yield told_sql.reading(RESOURCES, resource, Wanted(show=resource.shown))[0], [[record]]


def merging(resource: Resource, records: list[UUID]) -> Iterator[tuple[str, list[Any]]]:
    """The statements of a merge, with good arguments."""
    by = [uuid4(), "key"]
    yield bypassed.bypassed(resource), [records[0], 10]
    yield merge_sql.lock(resource), [records]
    yield merge_sql.names(resource), [uuid4(), records]
    yield merge_sql.mark(resource), [records, uuid4(), *by]
    yield merge_sql.lead_aliases(resource), [records, uuid4()]
    yield merge_sql.complete(resource), [records[0], "{}", *by]
    yield survivors.hold(resource), [records]
    yield merge_sql.owe(), [[resource.name], records, [1]]
    yield merge_sql.keep_job(resource), [uuid4(), uuid4(), records[0]]
    for each in RESOURCES.values():
        if each.references:
            yield repoint_sql.repoint(each, each.references), [records, uuid4(), *by]
        for rule in repoint_sql.concerned(each, each.references):
            yield repoint_sql.make_room(each, each.references, rule), [records, uuid4(), *by]


def lists(resource: Resource) -> Iterator[Query]:
    """Lists that a resource can be asked for: each sort, each filter with each of its operators, and the rest."""
    random = Random(5)
    texts = ["", "limit=0", "offset=9", "withCount=false", "includeDeleted=true", "fields=id"]
    texts += ["q=a%20b%25"] if resource.search else []
    texts += [f"sort={sign}{path}" for path in sortable(resource) for sign in ("", "-")]
    texts += [f"expand={name}" for name in resource.reference] + (["near=51.5,-0.12,10"] if resource.place else [])
    texts += ["sort=" + ",".join(sortable(resource)), "includeDeleted=true&withCount=false"]
    for path, kind in filterable(RESOURCES, resource).items():
        value = kind.sample(random)
        texts += [f"{path}[{each}]={'true' if each == 'isNull' else value}".replace("+", "%2B") for each in OPERATORS]
        texts.append(f"{path}={str(value).lower() if isinstance(value, bool) else value}".replace("+", "%2B"))
    for text in texts:
        try:
            yield query.read(RESOURCES, resource, text.replace("True", "true").replace("False", "false").encode())
        except ValidationFailed:
            # An operator that says nothing about a kind is refused before there is a statement.
            if "[" not in text:
                raise


@pytest.mark.parametrize(("file", "name", "text"), FIXED, ids=[f"{file.stem}.{name}" for file, name, _ in FIXED])
async def test_every_fixed_statement_can_be_prepared(scratch: Connection, file: Path, name: str, text: str) -> None:
    """PostgreSQL knows every table, column and type that a fixed statement names."""
    assert await scratch.prepare(text)


@EACH_RESOURCE
async def test_every_composed_statement_runs(scratch: Connection, resource: Resource) -> None:
    """What is composed for a resource runs, with arguments of the types that it is given."""
    for statement, arguments in composed(resource):
        await scratch.fetch(statement, *arguments)


@EACH_RESOURCE
async def test_every_list_runs(scratch: Connection, resource: Resource) -> None:
    """Each filter with each operator, each sort and each other parameter makes a list that runs."""
    count = 0
    for asked in lists(resource):
        statement, values = page.page(RESOURCES, resource, asked)
        assert await scratch.fetchrow(statement, *values) is not None
        count += 1
    assert count > 40


async def test_the_oldest_postgresql_takes_every_statement(debian: Connection) -> None:
    """PostgreSQL 15 knows everything that the statements need."""
    for _, _, text in FIXED:
        assert await debian.prepare(text)
    for resource in RESOURCES.values():
        for statement, _ in composed(resource):
            assert await debian.prepare(statement)
        for asked in lists(resource):
            assert await debian.prepare(page.page(RESOURCES, resource, asked)[0])
    assert await debian.fetchrow("select * from feed_position"), "A user without privileges may know the timeline."


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_fixed_statement_is_used(file: Path) -> None:
    """A statement that nobody runs is not there: each is bound to a name, and the name is used."""
    module = file.with_suffix(".py")
    text = module.read_text(encoding="utf-8")
    bound: dict[str, str] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign) and "_SQL." in ast.unparse(node.value):
            [target] = node.targets
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            bound |= {ast.unparse(v).removeprefix("_SQL."): ast.unparse(n) for n, v in zip(names, values, strict=True)}
    assert set(bound) == {name for name, _ in load(module)}
    assert [name for name in bound.values() if len(re.findall(rf"\b{name}\b", text)) < 2] == []
    name = ".".join(("retailos", *module.relative_to(SOURCE).with_suffix("").parts))
    assert all(isinstance(getattr(importlib.import_module(name), each), str) for each in bound.values())


def test_statements_mutate_no_table_twice() -> None:
    """No statement changes one table in two places, which PostgreSQL leaves undefined."""
    changing = re.compile(r"\b(?:insert into|update|delete from)\s+(\w+)")
    statements = {f"{file.stem}.{name}": text for file, name, text in FIXED}
    statements |= {f"upsert {name}": sql.upsert(RESOURCES, resource) for name, resource in RESOURCES.items()}
    twice = []
    for name, text in statements.items():
        bare = re.sub(r"--[^\n]*|for (no key )?update|do update|on conflict", "", text)
        tables = changing.findall(bare)
        if len(tables) != len(set(tables)):
            twice.append(f"{name}: {tables}")
    assert [each for each in twice if not each.startswith(("register.fold_tally", "statistics.fold"))] == []
