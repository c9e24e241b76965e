"""The command line says what it does, does it, and ends with an exit code that a script can go by."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from retailos.app import open_pool
from retailos.cli import order
from retailos.cli.doctor import open_transactions
from retailos.cli.webhook import webhook
from retailos.database.pool import Connection
from retailos.webhooks.webhook import SETTINGS
from tests.acceptance.program import ran, started
from tests.child import spawn


async def printed(*arguments: str, database_url: str = "") -> Any:
    """What a command that goes well prints for programs."""
    ended = await ran(*arguments, "--output", "json", database_url=database_url)
    assert ended.code == 0, ended.err
    return msgspec.json.decode(ended.out)


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (("serv",), {}, "No such command 'serv'. Did you mean 'serve'?"),
        (("webhok", "list"), {}, "Did you mean 'webhook'?"),
        (("serve", "--port", "99999"), {}, "99999 is not in the range"),
        (("serve",), {"prot": "1"}, "RETAILOS_PROT is not a setting. Did you mean RETAILOS_PORT?"),
        (("serve",), {"port": "many"}, "RETAILOS_PORT: expected a whole number from 0 to 65535, got 'many'."),
        (("keys", "create"), {}, "Missing option '--name'"),
        (("keys", "rotate", "x", "--grace", "a day"), {}, "expected a time such as 90s, 15m, 24h or 30d, got 'a day'"),
        (("keys", "list"), {}, "Name the database: --data-dir DIR"),
        (
            ("keys", "list", "--data-dir", "here"),
            {"database_url": "postgresql://127.0.0.1/retailos"},
            "Both --data-dir and RETAILOS_DATABASE_URL name a database",
        ),
        (("receive", "--fail", "everything"), {}, "expected a status such as 500, or with a share such as 500:30%"),
    ],
)
async def test_what_is_asked_wrongly_ends_with_2(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], said: str
) -> None:
    """A command that was asked for wrongly does nothing, says what was expected, and ends with 2."""
    ended = await ran(*arguments, cwd=tmp_path, **settings)
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
    assert "Traceback" not in ended.err
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("keys", "revoke", "0123456789"), "expected the id of a key, as `retailos keys list` shows it"),
        (("keys", "create", "--name", "x", "--scopes", "all"), "expected one of customer:read, customer:write, "),
        (("keys", "rotate", "0123456789"), "expected the id of a key"),
        (("keys", "change", "0123456789", "--name", "x"), "expected the id of a key"),
        (
            ("keys", "create", "--name", "x", "--networks", "10.0.0.1/8,nowhere", "--expires-in", "0"),
            "expected a network such as 10.20.0.0/16 or 2001:db8::/32, without bits behind its prefix; expected",
        ),
        (("webhook", "show", "7"), "There is no such webhook"),
        (
            ("webhook", "add", "--name", "x", "--resource", "customer", "--url", "http://127.0.0.1:9000/"),
            "expected",
        ),
    ],
)
async def test_what_fails_ends_with_1(database: str, arguments: tuple[str, ...], said: str) -> None:
    """A command that fails says why in one line, and ends with 1."""
    ended = await ran(*arguments, database_url=database)
    assert ended.code == 1
    assert ended.err.startswith(f"Error: {said}")
    assert ended.err.count("\n") == 1


async def test_a_database_that_does_not_answer_is_said_so() -> None:
    """Where no PostgreSQL answers, a command says so in one line that holds no password, and ends with 1."""
    ended = await ran("keys", "list", database_url="postgresql://somebody:secret@127.0.0.1:1/retailos")
    assert ended.code == 1
    assert ended.err.startswith("Error: ")
    assert ended.err.count("\n") == 1
    assert "secret" not in ended.err


async def test_a_key_lives_until_it_is_revoked(database: str) -> None:
    """A key is shown when it is made, is listed without its secret, and can be revoked."""
    made = await printed("keys", "create", "--name", "erp", "--scopes", "customer:read", database_url=database)
    assert made["key"].startswith(f"rk_dev_{made['id']}_")
    assert (made["name"], made["scopes"]) == ("erp", ["customer:read"])
    [listed] = await printed("keys", "list", database_url=database)
    assert (listed["id"], listed["revokedAt"], "key" in listed) == (made["id"], None, False)
    assert (await ran("keys", "revoke", made["id"], database_url=database)).code == 0
    table = await ran("keys", "list", database_url=database)
    assert re.search(rf"{made['id']} +erp +customer:read .+ revoked ", table.out)


async def test_a_trial_that_comes_to_nothing_ends_with_1(database: str, connection: Connection) -> None:
    """A webhook that is tried, and whose receiver does not take the request, is told why, and a script can tell."""
    await connection.execute(
        "insert into customers (id, external_id, version, operation, created_at, updated_at, body)"
        " values (gen_random_uuid(), 'c-1', 1, 'create', now(), now(), '{}')"
    )
    near = "127.0.0.0/8"
    adding = ("webhook", "add", "--name", "away", "--resource", "customer", "--url", "http://127.0.0.1:1/{id}")
    added = await ran(*adding, "--output", "json", database_url=database, allow_addresses=near)
    number = str(msgspec.json.decode(added.out)["id"])
    trial = ("webhook", "test", number, "--external-id", "c-1", "--output", "json")
    tried = await ran(*trial, database_url=database, allow_addresses=near)
    assert (tried.code, msgspec.json.decode(tried.out)["errorClass"]) == (1, "connection_refused"), tried.err


async def test_a_webhook_is_added_paused_resumed_and_deleted(database: str) -> None:
    """An operator keeps webhooks from the command line."""
    url = "https://erp.example.com/v1/customer/{externalCustomerId}"
    adding = ("webhook", "add", "--name", "erp", "--resource", "customer", "--url", url, "--retry-delay", "2.5")
    added = await printed(*adding, database_url=database)
    assert (added["name"], added["url"], added["method"], added["retryDelay"]) == ("erp", url, "PUT", 2.5)
    number = str(added["id"])
    for command, active in (("pause", False), ("resume", True)):
        switched = await printed("webhook", command, number, database_url=database)
        assert (switched["active"], switched["owed"]) == (active, 0)
        assert (await printed("webhook", "show", number, database_url=database))["active"] is active
    assert re.search(rf"{number} +erp +customer +active +PUT {re.escape(url)}", await listed_webhooks(database))
    nothing = {"webhook": added["id"], "count": 0, "dryRun": True, "operations": []}
    assert await printed("requeue", "--webhook", number, "--dry-run", database_url=database) == nothing
    aborted = await ran("webhook", "delete", number, database_url=database)
    assert (aborted.code, "0 deliveries are owed by it" in aborted.out) == (1, True)
    assert await printed("webhook", "delete", number, "--yes", database_url=database) == {"id": added["id"], "owed": 0}
    assert await listed_webhooks(database) == "There is no webhook yet; add one: retailos webhook add --help\n"


async def test_a_webhook_is_filled_and_what_failed_requeued(database: str, connection: Connection) -> None:
    """Commands do what they begin, also where no worker runs, and wait until it is done."""
    await connection.execute(
        "insert into customers (id, external_id, version, operation, created_at, updated_at, body)"
        " select gen_random_uuid(), 'c-' || i, 1, 'create', now(), now(), '{}' from generate_series(1, 150) as i"
    )
    await connection.execute("insert into tally (resource, delta) values ('customer', 150)")
    adding = ("webhook", "add", "--name", "erp", "--resource", "customer", "--url", "https://example.com/{id}")
    number = str((await printed(*adding, "--requeue-every", "60", database_url=database))["id"])
    done = await ran("webhook", "backfill", number, "--rate", "10000", database_url=database)
    assert done.code == 0
    drift = await printed("webhook", "drift", number, database_url=database)
    assert (drift["behind"], drift["neverTold"]) == (150, 0)
    named = (number, "--external-id", "c-1")
    shown = await printed("webhook", "test", *named, "--dry-run", database_url=database)
    assert (shown["method"], shown["sent"], shown["body"]["customer"]["externalCustomerId"]) == ("PUT", False, "c-1")
    assert (await printed("webhook", "trigger", *named, database_url=database))["version"] == 1
    told = await ran("explain", "--webhook", *named, database_url=database)
    assert (told.code, told.out.endswith("  v1: owed\n")) == (0, True)
    await connection.execute("update delivery set status = 'skipped', skipped_why = 'filtered', settled_at = now()")
    told = await ran("explain", "--webhook", *named, database_url=database)
    assert told.out.endswith("  v1: not sent: it is none of the records that the webhook is told of\n")
    skipped = await ran("deliveries", "--external-id", "c-1", database_url=database)
    assert re.search(r"webhook:customer:erp +c-1 +skipped +v1 +0 +filtered", skipped.out)
    await connection.execute("update delivery set status = 'failed', error_class = 'timeout', settled_at = now()")
    await connection.execute("update due set due_at = 'infinity'")
    chosen = ("--webhook", number, "--since", "2020-01-01", "--error-class", "timeout")
    assert (await printed("requeue", *chosen, "--dry-run", database_url=database))["count"] == 150
    answered = (*chosen, "--http-status", "503", "--dry-run")
    assert (await printed("requeue", *answered, database_url=database))["count"] == 0
    dismissed = await printed("dismiss", *chosen, "--external-id", "c-1", "--yes", database_url=database)
    assert dismissed["operations"][0]["done"] == 1
    one = await ran("requeue", *chosen[:2], "--dismissed", "--dry-run", database_url=database)
    assert (one.code, one.out) == (0, "1 dismissed delivery would be owed again.\n")
    found = await printed("deliveries", "--webhook", number, "--status", "failed", database_url=database)
    assert (len(found), {each["errorClass"] for each in found}) == (50, {"timeout"})
    of_one = await ran("deliveries", "--external-id", "c-1", database_url=database)
    assert re.search(r"webhook:customer:erp +c-1 +dismissed +v1 +\d+ +timeout", of_one.out)
    nothing = await ran("deliveries", "--http-status", "503", database_url=database)
    assert nothing.out == "There is no such delivery.\n"
    assert await printed("webhook", "openings", number, database_url=database) == []
    asked = await ran("dismiss", *chosen, database_url=database)
    assert (asked.code, "149 failed deliveries would be set aside" in asked.out) == (1, True)
    listed = await printed("operations", "list", "--webhook", number, database_url=database)
    assert [each["kind"] for each in listed] == ["dismiss", "backfill"]
    shown = await printed("operations", "show", listed[0]["id"], database_url=database)
    assert await printed("operations", "cancel", listed[0]["id"], database_url=database) == shown == listed[0]
    assert (await ran("requeue", "--webhook", number, "--all", database_url=database)).code == 2


async def test_a_webhook_of_batches_is_added(database: str) -> None:
    """What a batch is and how its answer is read can be said on the command line."""
    told = ("--url", "https://erp.example.com/customers", "--batch-size", "100", "--batch-wait", "0.5")
    read = ("--batch-answer", "multistatus", "--batch-answer-id", "/key")
    adding = ("webhook", "add", "--name", "erp", "--resource", "customer")
    added = await printed(*adding, *told, *read, database_url=database)
    expected = {"batchSize": 100, "batchWait": 0.5, "batchAnswer": "multistatus", "batchAnswerId": "/key"}
    assert added.items() >= expected.items()


async def test_a_webhook_is_changed(database: str) -> None:
    """What is said of a webhook is changed, what can be repeated is replaced whole, and what is reset as at first."""
    adding = ("webhook", "add", "--name", "erp", "--resource", "customer", "--url", "https://example.com/{id}")
    first = ("--where", "firstName=Ada", "--where", "firstName=Grace", "--field", "email", "--no-retry-backoff")
    added = await printed(*adding, *first, database_url=database)
    assert added["where"] == {"firstName": ["Ada", "Grace"]}
    changing = ("webhook", "change", str(added["id"]))
    said = ("--field", "dob", "--concurrency", "4", "--retry-delay-max", "600", "--no-requeue-on-recovery")
    changed = await printed(*changing, *said, "--reset", "where", "--reset", "retry-backoff", database_url=database)
    expected = {"where": {}, "retryBackoff": True, "concurrency": 4, "retryDelayMax": 600, "requeueOnRecovery": False}
    assert changed.items() >= expected.items()
    assert (changed["fields"], changed["url"]) == (["dob"], added["url"])
    nothing = await ran(*changing, database_url=database)
    assert (nothing.code, "Say what to change" in nothing.err) == (2, True)


def test_every_setting_of_a_webhook_can_be_said() -> None:
    """There is an option for each of a webhook's settings; a signature's secret is made by a command of its own."""
    changing = webhook.commands["change"]
    options = {each.name for each in changing.params}
    reset = next(each.type for each in changing.params if each.name == "reset")
    assert isinstance(reset, click.Choice)
    settings = {order.setting(name) for name in reset.choices} | {"url"}
    assert settings == SETTINGS.keys() - {"signing"}
    assert {name.replace("-", "_") for name in reset.choices} <= options


async def listed_webhooks(database: str) -> str:
    """The list of webhooks as people see it."""
    return (await ran("webhook", "list", database_url=database)).out


async def test_a_new_database_is_made_ready(data_dir: Path) -> None:
    """On a directory that is not there yet, to migrate makes a database; the second time there is nothing to do."""
    first = await printed("migrate", "--data-dir", str(data_dir))
    assert first["applied"][0] == "0001_engine.sql"
    assert (await ran("migrate", "--data-dir", str(data_dir))).out == "The database is up to date.\n"


async def test_the_doctor_finds_what_is_wrong(database: str, connection: Connection) -> None:
    """The doctor ends with 0 while all is well, and with 1 when the schema is behind, saying what to do."""
    well = await printed("doctor", database_url=database)
    assert {each["name"] for each in well} == {
        "version",
        "database",
        "migrations",
        "clock",
        "transactions",
        "secrets",
        "certificates of webhooks",
    }
    assert all(each["good"] for each in well)
    await connection.execute("delete from migration where number = (select max(number) from migration)")
    ill = await ran("doctor", database_url=database)
    assert ill.code == 1
    assert re.search(r"^✗ migrations +\S+\.sql not applied; run: retailos migrate$", ill.out, re.MULTILINE)
    await connection.execute("delete from migration")
    new = await ran("doctor", database_url=database)
    assert re.search(r"^✗ migrations +\d+ migrations, 0001_engine\.sql to \S+\.sql not applied;", new.out, re.MULTILINE)


async def test_the_doctor_finds_transactions_that_were_forgotten(database: str, connection: Connection) -> None:
    """A transaction that somebody has left open is named with its age, since it makes every queue slow."""
    async with open_pool(database, "doctor") as pool:
        assert (await open_transactions(pool, 0)).good
        async with connection.transaction():
            await connection.execute("set application_name = 'a forgotten notebook'")
            found = await open_transactions(pool, 0)
            assert (found.good, "a forgotten notebook" in found.said) == (False, True)
            assert (await open_transactions(pool, 60)).good


async def test_the_doctor_says_where_no_database_is(tmp_path: Path) -> None:
    """Where there is no database yet, the doctor says so and makes none."""
    ended = await ran("doctor", cwd=tmp_path)
    assert ended.code == 1
    assert "✗ database" in ended.out
    assert not os.listdir(tmp_path)


async def test_the_description_is_printed() -> None:
    """The API's description can be had without a server: the public one, and the admin one."""
    public, admin = await asyncio.gather(ran("openapi"), ran("openapi", "--admin"))
    for ended, path in ((public, "/v2/public/customers"), (admin, "/v2/admin/webhooks")):
        document = msgspec.json.decode(ended.out)
        assert document["openapi"].startswith("3.1")
        assert path in document["paths"]


async def test_a_postman_collection_is_printed() -> None:
    """The same can be had for Postman: the collection, and an environment that names the server."""
    collection, environment = await asyncio.gather(
        ran("openapi", "--format", "postman", "--admin"),
        ran("openapi", "--format", "postman-environment", "--base-url", "https://api.example.com"),
    )
    assert [each["name"] for each in msgspec.json.decode(collection.out)["item"]] == [
        "Keys",
        "Webhooks",
        "Deliveries",
        "Requeues",
        "Dismissals",
        "Operations",
        "Reports",
        "Statistics",
    ]
    values = {each["key"]: each["value"] for each in msgspec.json.decode(environment.out)["values"]}
    assert values == {"baseUrl": "https://api.example.com", "apiKey": ""}


async def test_a_receiver_shows_what_it_is_sent_and_fails_as_told() -> None:
    """The receiver tells where it is, shows each request, and answers as it was told to."""
    async with started("receive", "--port", "0", "--fail", "503:50%", "--output", "json") as running:
        port = int((await running.says(r'"url":"http://127\.0\.0\.1:(\d+)"'))[1])
        answered = [await send(port, f"/v1/customer/{number}") for number in range(4)]
        await running.says(r"/v1/customer/3")
        assert await running.end(signal.SIGINT) == 0
    requests = [msgspec.json.decode(line) for line in running.out.splitlines()[1:]]
    assert [(each["method"], each["path"]) for each in requests] == [("PUT", f"/v1/customer/{n}") for n in range(4)]
    assert [each["status"] for each in requests] == answered
    assert sorted(answered) == [200, 200, 503, 503]


async def test_a_receiver_draws_for_people() -> None:
    """For people, a request is a line with its time, and its body if they ask for it."""
    async with started("receive", "--port", "0", "--bodies") as running:
        port = int((await running.says(r"Receiving at http://127\.0\.0\.1:(\d+)"))[1])
        assert await send(port, "/v1/customer/a") == 200
        await running.says(r"\d\d:\d\d:\d\d\.\d{3}  PUT /v1/customer/a  \d+ bytes  → 200\n")
        await running.says(r'"firstName": "Ada"')
        assert await running.end(signal.SIGTERM) == 0


async def test_a_receiver_answers_batches() -> None:
    """A batch gets a result for each record, with an error for as many of them as was told."""
    batch = {"customers": [{"externalCustomerId": str(number)} for number in range(4)]}
    async with started("receive", "--port", "0", "--refuse", "50") as running:
        port = int((await running.says(r"Receiving at http://127\.0\.0\.1:(\d+)"))[1])
        answer = await asyncio.to_thread(
            ask, port, "/v1/customers", msgspec.json.encode(batch), {"X-Ra-Batch-Size": "4"}
        )
        await running.says(r"PUT /v1/customers  4 records  \d+ bytes  → 200\n")
        assert await running.end(signal.SIGTERM) == 0
    assert [each["error"] is None for each in msgspec.json.decode(answer[1])["results"]] == [True, False, True, False]


async def send(port: int, path: str) -> int:
    """Send a receiver a customer; the status that it answers with."""
    return (await asyncio.to_thread(ask, port, path, b'{"firstName": "Ada"}', {}))[0]


def ask(port: int, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """Put something to a receiver; the status and the body that it answers with."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("PUT", path, body, {"Content-Type": "application/json"} | headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


async def test_it_runs_where_python_runs() -> None:
    """The version is told, by the command that was installed as by the module."""
    script = Path(sys.executable).parent / "retailos"
    process = await spawn(script, "--version", stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    assert out.decode() == (await ran("--version")).out
