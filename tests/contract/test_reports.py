"""Error reports: one mail for each moment, whose count is the file's rows and the failures that the database holds."""

import asyncio
import csv
import io
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from retailos.database.pool import Connection, connect, transaction
from retailos.receiver import Behaviour, Received, Receiver
from retailos.records import parked
from retailos.reports import issues, store
from retailos.reports.sending import ATTEMPTS_MOST
from retailos.settings import Settings
from retailos.timetable import run_timetable
from tests.conftest import eventually
from tests.contract.conftest import Api, Response, check_envelope, serving
from tests.contract.delivering import all_settled, settled, webhook, working
from tests.contract.importing import unchunked
from tests.contract.mailing import SENDER, Postbox, knowing, postbox
from tests.reliability.certificates import authority, signed

TO, OTHER = "operations@example.com", "night-shift@example.com"
PUBLIC = "https://retailos.example.com"


@pytest.fixture
async def box() -> AsyncIterator[Postbox]:
    """A mail server on this machine."""
    async with postbox() as box:
        yield box


@pytest.fixture
async def mailing(settings: Settings, database: str, box: Postbox) -> AsyncIterator[Api]:
    """The API of an installation that mails."""
    mailed = replace(
        settings, smtp_host="127.0.0.1", smtp_port=box.port, smtp_security="none", mail_from=SENDER, public_url=PUBLIC
    )
    async with serving(mailed, database) as api:
        yield api


async def report(api: Api, **fields: Any) -> int:
    """Add a report of everything; its id."""
    answer = await api.admin("POST", "/reports", json={"name": "daily", "recipients": [TO]} | fields)
    assert answer.status == 201, answer.body
    made: int = answer.result["id"]
    return made


async def fail(api: Api, *statuses: int, webhooks: int = 1) -> list[int]:
    """For each status a customer whose delivery to each webhook has failed with it; the webhooks' ids."""

    def refuse(received: Received) -> Behaviour:
        [number] = re.findall(r"secret-(\d)", received.path)
        return Behaviour(status=statuses[int(number)])

    async with Receiver.listen(behaviour=refuse) as receiver:
        ids = [await webhook(api, receiver, name=f"erp-{i}", retryLimit=0) for i in range(webhooks)]
        for i in range(len(statuses)):
            await api.put(f"/customers/secret-{i}@example.com", {"firstName": "Ada"})
        async with working(api):
            await all_settled(api, "failed")
    return ids


async def due_now(connection: Connection, kind: str = "issue report") -> None:
    """Let what is planned be due."""
    await connection.execute("update schedule set due_at = now() where kind = $1", kind)


async def fetched(api: Api, url: str, method: str = "GET") -> Response:
    """Follow a link of a mail, without a key."""
    parts = urlsplit(url)
    answer = await api.request(method, f"{parts.path}?{parts.query}", key="")
    return replace(answer, body=unchunked(answer.body)) if (answer.status, method) == (200, "GET") else answer


def links(text: str) -> list[str]:
    """The links in a mail."""
    return re.findall(r"https://\S+", text)


async def cells(api: Api, url: str) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    answer = await fetched(api, url)
    assert answer.status == 200, answer.body
    return list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))


async def test_the_count_in_the_mail_is_the_file_s_and_the_database_s(
    mailing: Api, box: Postbox, connection: Connection
) -> None:
    """A report tells of each failure by webhook and class, and its files hold a row of each, to the last one."""
    ids = await fail(mailing, 400, 400, 500, webhooks=2)
    await report(mailing)
    await due_now(connection)
    async with working(mailing):
        await eventually(lambda: box.taken)
    [mail] = box.taken
    assert mail.recipients == (TO,)
    assert await connection.fetchval("select count(*) from delivery where status = 'failed'") == 6
    assert mail.message["Subject"] == "[RetailOS test] daily: 6 failures"
    for name in ("erp-0", "erp-1"):
        assert f"webhook:customer:{name}\n         2  http_4xx\n         1  http_5xx\n" in mail.text()
    of_csv, of_ndjson = links(mail.text())
    rows = await cells(mailing, of_csv)
    lines = [msgspec.json.decode(each) for each in (await fetched(mailing, of_ndjson)).body.splitlines()]
    assert [row["deliveryId"] for row in rows] == [line["deliveryId"] for line in lines]
    failed = await connection.fetch("select webhook_id, record_id from delivery where status = 'failed'")
    assert {row["deliveryId"] for row in rows} == {f"{row['webhook_id']}-{row['record_id']}" for row in failed}
    assert len(rows) == 6
    assert {row["webhook_id"] for row in failed} == set(ids)
    for row in rows:
        shown = (await mailing.admin("GET", f"/deliveries/{row['deliveryId']}")).result
        assert (shown["errorClass"], shown["settledAt"]) == (row["errorClass"], row["failedAt"])
        assert (str(shown["attempts"]), str(shown["wanted"])) == (row["attempts"], row["version"])


async def test_a_file_stays_what_its_mail_told(mailing: Api, box: Postbox, connection: Connection) -> None:
    """What is requeued, changed or deleted after a report was made changes nothing of its files."""
    [webhook_id] = await fail(mailing, 400, 500)
    await report(mailing)
    await due_now(connection)
    async with working(mailing):
        await eventually(lambda: box.taken)
    before = [await fetched(mailing, each) for each in links(box.taken[0].text())]
    await mailing.admin("DELETE", f"/webhooks/{webhook_id}")
    await mailing.request("DELETE", "/v2/public/customers/secret-0@example.com")
    assert await connection.fetchval("select count(*) from failure") == 0
    after = [await fetched(mailing, each) for each in links(box.taken[0].text())]
    assert [each.body for each in after] == [each.body for each in before]


async def test_nothing_personal_leaves_with_a_report(mailing: Api, box: Postbox, connection: Connection) -> None:
    """Neither the mail nor its files name a person: no external id, no name, nothing that a receiver answered."""
    await fail(mailing, 400)
    await report(mailing)
    await due_now(connection)
    async with working(mailing):
        await eventually(lambda: box.taken)
    [mail] = box.taken
    told = [mail.message.as_bytes()] + [(await fetched(mailing, each)).body for each in links(mail.text())]
    for personal in (b"secret", b"Ada", b"retailos/customer/"):
        assert not any(personal in each for each in told)


async def test_a_report_of_one_webhook_tells_of_that_one(mailing: Api, box: Postbox, connection: Connection) -> None:
    """A report that names a webhook counts that one's failures alone, and ends with it."""
    ids = await fail(mailing, 400, 500, webhooks=2)
    report_id = await report(mailing, webhook=ids[1], recipients=[TO, OTHER])
    shown = (await mailing.admin("GET", f"/reports/{report_id}/preview")).result
    assert [(each["webhookId"], each["count"]) for each in shown["counts"]] == [(ids[1], 1), (ids[1], 1)]
    await due_now(connection)
    async with working(mailing):
        await eventually(lambda: box.taken)
    [mail] = box.taken
    assert mail.recipients == (TO, OTHER)
    assert "erp-1" in mail.text()
    assert "erp-0" not in mail.text()
    await mailing.admin("DELETE", f"/webhooks/{ids[1]}")
    assert (await mailing.admin("GET", f"/reports/{report_id}")).status == 404
    await due_now(connection)
    async with working(mailing):
        gone = "select count(*) = 0 from schedule where kind = 'issue report'"
        assert await eventually(lambda: connection.fetchval(gone))
    assert len(box.taken) == 1


async def test_upserts_that_were_given_up_are_told(mailing: Api, box: Postbox, connection: Connection) -> None:
    """What waited too long for a record that it refers to stands in the report of everything, by its job."""
    body = {"firstName": "Ada", "registeredAt": {"externalStoreId": "none"}}
    put = await mailing.put("/customers/secret@example.com", body)
    await parked.expire(mailing.engine.pool, 0, 24)
    report_id = await report(mailing)
    await mailing.admin("POST", f"/reports/{report_id}/send")
    async with working(mailing):
        await eventually(lambda: box.taken)
    [row] = await cells(mailing, links(box.taken[0].text())[0])
    assert (row["jobId"], row["errorClass"]) == (put.result[0]["id"], "REFERENCE_NOT_FOUND")
    assert (row["queueName"], row["resource"]) == (put.result[0]["queueName"], "customer")
    assert b"secret" not in (await fetched(mailing, links(box.taken[0].text())[0])).body


@pytest.mark.parametrize("sends_empty", [True, False])
async def test_a_report_of_nothing_is_sent_where_that_is_asked(
    mailing: Api, box: Postbox, connection: Connection, sends_empty: bool
) -> None:
    """Whoever wants to know that nothing has failed is told so; whoever does not is left in peace."""
    report_id = await report(mailing, sendEmpty=sends_empty)
    await due_now(connection)
    async with working(mailing):
        ticked = "select ticked_at is not null from schedule where kind = 'issue report'"
        assert await eventually(lambda: connection.fetchval(ticked))
        if sends_empty:
            await eventually(lambda: box.taken)
    assert [each.message["Subject"] for each in box.taken] == (
        ["[RetailOS test] daily: nothing has failed"] if sends_empty else []
    )
    issued = (await mailing.admin("GET", f"/reports/{report_id}/issues")).result["rows"]
    assert [each["total"] for each in issued] == ([0] if sends_empty else [])


async def test_a_report_can_be_looked_at_and_sent_now(mailing: Api, box: Postbox, connection: Connection) -> None:
    """The preview is the mail that is then sent, and sending now leaves the schedule as it is."""
    await fail(mailing, 400)
    report_id = await report(mailing)
    shown = (await mailing.admin("GET", f"/reports/{report_id}")).result
    preview = (await mailing.admin("GET", f"/reports/{report_id}/preview")).result
    assert (await mailing.admin("GET", f"/reports/{report_id}/issues")).result["rows"] == []
    answer = await mailing.admin("POST", f"/reports/{report_id}/send")
    assert (answer.status, answer.result["status"], answer.result["total"]) == (202, "sending", 1)
    path = answer.headers["location"].removeprefix("/v2/admin")

    async def sent() -> Any:
        issue = (await mailing.admin("GET", path)).result
        return issue if issue["status"] == "sent" else None

    async with working(mailing):
        issue = await eventually(sent)
    [mail] = box.taken
    assert mail.message["Subject"] == preview["subject"]

    def plain(text: str) -> str:
        return re.sub(r"https://\S+|\d\d:\d\d", "", text)

    assert plain(mail.text()) == plain(preview["text"])
    assert plain(mail.text("html")) == plain(preview["html"])
    assert issue["sentAt"]
    assert list(issue["files"].values()) == links(mail.text())
    assert (await mailing.admin("GET", f"/reports/{report_id}")).result == shown


async def test_links_end(mailing: Api, box: Postbox, connection: Connection) -> None:
    """A link is good for its days and as long as the file is kept; then it is 410, and one that is made up 404."""
    await fail(mailing, 400)
    report_id = await report(mailing)
    made = (await mailing.admin("POST", f"/reports/{report_id}/send")).result
    url = made["files"]["csv"]
    answer = await fetched(mailing, url)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"].startswith("text/csv")
    assert re.fullmatch(r'attachment; filename="failures-\d{8}-\d{4}\.csv"', answer.headers["content-disposition"])
    assert (await fetched(mailing, url, "HEAD")).status == 200
    path, _, query = url.partition("?")
    for wrong in (url[:-1], url + "x", f"{path.replace('csv', 'ndjson')}?{query}", path, f"{url}&x=1"):
        assert check_envelope(await fetched(mailing, wrong), 404)["error"]["code"] == "RESOURCE_NOT_FOUND", wrong
    assert check_envelope(await fetched(mailing, url, "POST"), 405)["error"]["code"] == "METHOD_NOT_ALLOWED"
    await connection.execute("update report_issue set at = at - interval '8 days'")
    old = (await mailing.admin("GET", f"/reports/{report_id}/issues/{made['id']}")).result["files"]["csv"]
    assert check_envelope(await fetched(mailing, old), 410)["error"]["code"] == "LINK_EXPIRED"
    await connection.execute("update report_issue set at = at - interval '23 days'")
    await issues.forget(mailing.engine.pool, 30)
    assert check_envelope(await fetched(mailing, url), 410)["error"]["code"] == "LINK_EXPIRED"
    assert (await mailing.admin("GET", f"/reports/{report_id}/issues")).result["rows"] == []


async def test_a_file_has_its_limit_and_the_mail_says_so(mailing: Api, connection: Connection) -> None:
    """Beyond so many rows the file ends, while the counts are of all."""
    await fail(mailing, 400, 400, 500)
    report_id = await report(mailing)
    async with transaction(mailing.engine.pool) as made:
        issue = await issues.make(made, await store.one(made, report_id), rows_most=2)
    assert (issue.total, issue.rows, sum(each.count for each in issue.counts)) == (3, 2, 3)
    file = b"".join([part async for part in issues.file_of(mailing.engine.pool, issue, "ndjson")])
    assert file.count(b"\n") == 2


async def issue_in(api: Api, report_id: int, status: str, attempts: int = 1) -> dict[str, Any]:
    """Wait until the newest issue of a report is in a status after so many attempts, and give it."""

    async def look() -> dict[str, Any]:
        rows = (await api.admin("GET", f"/reports/{report_id}/issues")).result["rows"]
        return rows[0] if rows and (rows[0]["status"], rows[0]["attempts"]) == (status, attempts) else {}

    return await eventually(look)


async def test_a_mail_that_is_put_off_is_tried_again(mailing: Api, box: Postbox, connection: Connection) -> None:
    """Greylisting costs a minute and no mail: it is tried again, under the same id, and that is seen."""
    box.to_recipients[TO] = "451 4.7.1 Greylisted, try again later"
    report_id = await report(mailing)
    await mailing.admin("POST", f"/reports/{report_id}/send")
    async with working(mailing):
        put_off = await settled_attempt(mailing, report_id, "451 4.7.1 Greylisted, try again later")
        wait = await connection.fetchval(
            "select extract(epoch from due_at - now())::float from schedule where kind = 'send report'"
        )
        assert 30 < wait <= 60
        box.to_recipients.clear()
        await due_now(connection, "send report")
        sent = await issue_in(mailing, report_id, "sent", 2)
    assert (put_off["status"], put_off["attempts"], sent["refused"], sent["error"]) == ("sending", 1, {}, None)
    assert len(box.taken) == 1
    assert await connection.fetchval("select count(*) from schedule where kind = 'send report'") == 0


async def settled_attempt(api: Api, report_id: int, error: str, attempt: int = 1) -> dict[str, Any]:
    """Wait until an attempt at the newest issue of a report is settled with an error, and give the issue."""

    async def look() -> dict[str, Any]:
        rows = (await api.admin("GET", f"/reports/{report_id}/issues")).result["rows"]
        return rows[0] if rows and (rows[0]["error"], rows[0]["attempts"]) == (error, attempt) else {}

    return await eventually(look)


async def test_an_answer_that_was_lost_repeats_the_mail_under_its_id(
    mailing: Api, box: Postbox, connection: Connection
) -> None:
    """A server that took a mail and says otherwise gets it again with the same id, and so can tell."""
    box.to_messages.append("421 4.3.2 Closing")
    report_id = await report(mailing)
    await mailing.admin("POST", f"/reports/{report_id}/send")
    ids: list[str] = []

    async def note() -> None:
        ids.append("asked")

    box.before = note
    async with working(mailing):
        await settled_attempt(mailing, report_id, "421 4.3.2 Closing")
        await due_now(connection, "send report")
        issue = await issue_in(mailing, report_id, "sent", 2)
    assert len(ids) == 2
    assert [each.message["Message-ID"] for each in box.taken] == [f"<report.{issue['id']}@example.com>"]


async def test_who_is_refused_is_told_and_the_others_are_not_mailed_twice(
    mailing: Api, box: Postbox, connection: Connection
) -> None:
    """Who does not exist is given up, who is put off is tried again, and whoever has the mail has it once."""
    late = "late@example.com"
    box.to_recipients |= {OTHER: "550 5.1.1 No such user", late: "450 4.2.0 Mailbox busy"}
    report_id = await report(mailing, recipients=[TO, OTHER, late])
    await mailing.admin("POST", f"/reports/{report_id}/send")
    async with working(mailing):
        await settled_attempt(mailing, report_id, "450 4.2.0 Mailbox busy; 550 5.1.1 No such user")
        del box.to_recipients[late]
        await due_now(connection, "send report")
        issue = await issue_in(mailing, report_id, "sent", 2)
    assert [each.recipients for each in box.taken] == [(TO,), (late,)]
    assert issue["refused"] == {OTHER: "550 5.1.1 No such user"}
    assert len({each.message["Message-ID"] for each in box.taken}) == 1


async def test_a_mail_that_nobody_takes_fails_and_is_seen(mailing: Api, box: Postbox, connection: Connection) -> None:
    """After its attempts, or at a refusal for good, an issue has failed, says why, and keeps its file."""
    box.to_recipients[TO] = "550 5.1.1 No such user"
    report_id = await report(mailing)
    made = (await mailing.admin("POST", f"/reports/{report_id}/send")).result
    async with working(mailing):
        issue = await issue_in(mailing, report_id, "failed")
        assert (issue["refused"], issue["error"]) == ({TO: "550 5.1.1 No such user"}, "550 5.1.1 No such user")
        assert (await fetched(mailing, made["files"]["csv"])).status == 200
        box.to_recipients[TO] = "451 4.3.0 Not now"
        await mailing.admin("POST", f"/reports/{report_id}/send")
        for attempt in range(1, ATTEMPTS_MOST):
            await settled_attempt(mailing, report_id, "451 4.3.0 Not now", attempt)
            await due_now(connection, "send report")
        await issue_in(mailing, report_id, "failed", ATTEMPTS_MOST)
    assert box.taken == []


async def test_a_server_that_hangs_holds_up_nothing_else(mailing: Api, box: Postbox, connection: Connection) -> None:
    """While a mail server does not answer, deliveries go on, and no connection to the database is held."""
    hangs, free = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        hangs.set()
        await free.wait()

    box.before = hang
    report_id = await report(mailing)
    await mailing.admin("POST", f"/reports/{report_id}/send")
    async with Receiver.listen() as receiver, working(mailing):
        webhook_id = await webhook(mailing, receiver)
        async with asyncio.timeout(10):
            await hangs.wait()
        await mailing.put("/customers/c-1", {"firstName": "Ada"})
        await settled(mailing, webhook_id, "c-1")
        open_ = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'"
        assert await eventually(lambda: connection.fetchval(f"select ({open_}) = 0"))
        free.set()
        await issue_in(mailing, report_id, "sent")


@pytest.mark.parametrize("at_once", [False, True], ids=["starttls", "tls"])
async def test_mails_go_over_tls_with_a_login(
    settings: Settings, database: str, connection: Connection, tmp_path: Path, at_once: bool
) -> None:
    """The connection is secured before the login, the certificate must be good, and a wrong password is seen."""
    signing = authority()
    own = signed(signing, "localhost")
    (tmp_path / "ca.pem").write_bytes(signing.certificate_pem)
    (tmp_path / "own.pem").write_bytes(own.pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "own.pem")
    async with postbox(tls, at_once=at_once, **knowing("retailos", "correct horse")) as box:
        mailed = replace(
            settings,
            smtp_host="localhost",
            smtp_port=box.port,
            smtp_security="tls" if at_once else "starttls",
            smtp_user="retailos",
            smtp_password="correct horse",
            smtp_ca=tmp_path / "ca.pem",
            mail_from=SENDER,
            public_url=PUBLIC,
        )
        async with serving(mailed, database) as api:
            report_id = await report(api)
            await api.admin("POST", f"/reports/{report_id}/send")
            async with working(api):
                await issue_in(api, report_id, "sent")
            [mail] = box.taken
            assert (mail.secured, mail.user) == (True, "retailos")
            for wrong in ({"smtp_password": "wrong"}, {"smtp_ca": None}):
                await api.admin("POST", f"/reports/{report_id}/send")
                async with working(api, **wrong):
                    issue = await issue_in(api, report_id, "sending", 1)

                    async def told() -> Any:
                        rows = (await api.admin("GET", f"/reports/{report_id}/issues")).result["rows"]
                        return rows[0]["error"]

                    error = await eventually(told)
                assert ("535" in error) if "smtp_password" in wrong else ("certificate" in error.lower()), issue
    assert len(box.taken) == 1


async def test_without_a_mail_server_the_file_is_made_all_the_same(api: Api, connection: Connection) -> None:
    """An issue that can't be mailed says what to do, and its file is there for whoever has a key."""
    report_id = await report(api)
    made = (await api.admin("POST", f"/reports/{report_id}/send")).result
    async with working(api):
        issue = await issue_in(api, report_id, "failed")
    assert "RETAILOS_SMTP_HOST" in issue["error"]
    assert made["files"]["csv"].startswith("/v2/reports/")
    assert (await api.request("GET", made["files"]["csv"], key="")).status == 200


async def test_a_report_is_changed_paused_and_deleted(mailing: Api, box: Postbox, connection: Connection) -> None:
    """A report says when it is due next, also after it was changed; paused or deleted it is never due."""
    report_id = await report(mailing, cron="0 7 * * *", timeZone="Europe/London")
    shown = (await mailing.admin("GET", f"/reports/{report_id}")).result
    due = datetime.fromisoformat(shown["nextAt"])
    assert due.minute == 0
    assert timedelta(0) < due - datetime.now(UTC) <= timedelta(days=1, hours=1)
    changed = (await mailing.admin("PUT", f"/reports/{report_id}", json={"cron": "30 * * * *"})).result
    assert datetime.fromisoformat(changed["nextAt"]).minute == 30
    assert changed["recipients"] == [TO]
    paused = (await mailing.admin("PUT", f"/reports/{report_id}", json={"active": False})).result
    assert paused["nextAt"] is None
    assert (await mailing.admin("PUT", f"/reports/{report_id}", json={"active": True})).result["nextAt"]
    assert (await mailing.admin("POST", "/reports", json={"name": "daily", "recipients": [TO]})).status == 409
    assert (await mailing.admin("POST", f"/reports/{report_id}/send")).status == 202
    assert (await mailing.admin("DELETE", f"/reports/{report_id}")).result == {"id": report_id}
    for method in ("GET", "PUT", "DELETE"):
        answer = await mailing.admin(method, f"/reports/{report_id}", json={} if method == "PUT" else None)
        assert answer.status == 404
    assert await connection.fetchval("select count(*) from schedule where kind = 'issue report'") == 0
    assert await report(mailing) != report_id
    async with working(mailing):
        gone = "select error from report_issue"
        assert "taken away" in await eventually(lambda: connection.fetchval(gone))
    assert box.taken == []


@pytest.mark.parametrize(
    ("said", "path"),
    [({"webhook": 99}, "/webhook"), ({"cron": "0 0 30 2 *"}, "/cron"), ({"recipients": ["x"]}, "/recipients/0")],
)
async def test_a_report_that_makes_no_sense_is_refused(mailing: Api, said: dict[str, Any], path: str) -> None:
    """What is wrong with a report is told by pointers, and neither a new nor a changed one is saved."""
    kept = await report(mailing, name="kept")
    body = {"name": "daily", "recipients": [TO]} | said
    for method, at in (("POST", "/reports"), ("PUT", f"/reports/{kept}")):
        answer = await mailing.admin(method, at, json=body)
        errors = check_envelope(answer, 400)["error"]["details"]["errors"]
        assert [each["path"] for each in errors] == [path]
    assert (await mailing.admin("GET", f"/reports/{kept}")).result["name"] == "kept"
    assert len((await mailing.admin("GET", "/reports")).result["rows"]) == 1


async def test_a_report_that_was_missed_is_made_once(mailing: Api, box: Postbox, connection: Connection) -> None:
    """After days without a worker there is one report, late, and the next comes at its time."""
    report_id = await report(mailing, cron="0 * * * *")
    await connection.execute("update schedule set due_at = now() - interval '3 days' where kind = 'issue report'")
    async with working(mailing):
        await issue_in(mailing, report_id, "sent")
        waits = "select due_at - now() between '1 ms' and '1 hour' from schedule where kind = 'issue report'"
        assert await eventually(lambda: connection.fetchval(waits))
    assert len(box.taken) == 1


@pytest.mark.parametrize("workers", [3, 8])
async def test_every_report_is_made_and_mailed_once_by_many_workers(
    mailing: Api, box: Postbox, connection: Connection, workers: int
) -> None:
    """R10: however many workers look, each moment of each report has one issue, and each issue one mail."""
    for i in range(5):
        await report(mailing, name=f"r-{i}", cron="* * * * *")
    stop = asyncio.Event()
    pools = [
        await connect(mailing.database, min_size=1, max_size=3, application_name="tests", statement_timeout_seconds=10)
        for _ in range(workers)
    ]
    clocks = [asyncio.create_task(run_timetable(pool, mailing.engine.settings, stop)) for pool in pools]
    try:
        for ticks in range(1, 5):
            await due_now(connection)
            await eventually(lambda ticks=ticks: len(box.taken) >= 5 * ticks, within_seconds=30)  # type: ignore[misc]
    finally:
        stop.set()
        await asyncio.gather(*clocks)
        for pool in pools:
            await pool.close()
    assert await connection.fetchval("select count(*) from report_issue where status = 'sent' and attempts = 1") == len(
        box.taken
    )
    assert len({each.message["Message-ID"] for each in box.taken}) == len(box.taken)
    per_report = await connection.fetch("select count(*) from report_issue group by report_id")
    assert {row["count"] for row in per_report} == {4}


async def test_a_worker_that_dies_over_a_mail_leaves_it_to_another(
    mailing: Api, box: Postbox, connection: Connection
) -> None:
    """An attempt that nobody has settled is made again when its lease is over, and the late answer counts no more."""
    began, never = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        began.set()
        await never.wait()

    box.before = hang
    report_id = await report(mailing)
    await mailing.admin("POST", f"/reports/{report_id}/send")
    stop = asyncio.Event()
    clock = asyncio.create_task(run_timetable(mailing.engine.pool, mailing.engine.settings, stop))
    async with asyncio.timeout(10):
        await began.wait()
    box.before = None
    async with working(mailing):
        lease = await connection.fetchval(
            "select extract(epoch from due_at - now())::float from schedule where kind = 'send report'"
        )
        assert 100 < lease <= 120
        await due_now(connection, "send report")
        issue = await issue_in(mailing, report_id, "sent", 2)
        # The first one's answer comes now; it took the mail too.
        never.set()
        await eventually(lambda: len(box.taken) == 2)
    stop.set()
    await clock
    assert len({each.message["Message-ID"] for each in box.taken}) == 1
    assert (await issue_in(mailing, report_id, "sent", 2))["sentAt"] == issue["sentAt"]
