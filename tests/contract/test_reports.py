"""Error reports: one mail for each moment, whose count is the file's rows and the failures that the database holds."""

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from retailos.database.pool import Connection, transaction
from retailos.receiver import Behaviour, Received, Receiver
from retailos.records import parked
from retailos.reports import issues, store
from retailos.settings import Settings
from tests.conftest import eventually
from tests.contract.conftest import Api, check_envelope, serving
from tests.contract.delivering import all_settled, webhook, working
from tests.contract.mailing import OTHER, TO, Postbox, due_now, fetched, issue_in, mailed, postbox, report


@pytest.fixture
async def box() -> AsyncIterator[Postbox]:
    """A mail server on this machine."""
    async with postbox() as box:
        yield box


@pytest.fixture
async def mailing(settings: Settings, database: str, box: Postbox) -> AsyncIterator[Api]:
    """The API of an installation that mails."""
    async with serving(mailed(settings, box), database) as api:
        yield api


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
    assert (answer.status, answer.result["status"], answer.result["total"]) == (201, "sending", 1)
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
    assert (await mailing.admin("POST", f"/reports/{report_id}/send")).status == 201
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
