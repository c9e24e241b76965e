"""Mails of reports: one for each issue, whatever the mail server does and whichever worker dies."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from retailos.database.pool import Connection, connect
from retailos.receiver import Receiver
from retailos.reports.sending import ATTEMPTS_MOST
from retailos.settings import Settings
from retailos.timetable import run_timetable
from tests.conftest import PATIENCE_SECONDS, eventually
from tests.contract.conftest import Api, serving
from tests.contract.delivering import settled, webhook, working
from tests.contract.mailing import (
    OTHER,
    TO,
    Postbox,
    due_now,
    fetched,
    issue_in,
    knowing,
    mailed,
    postbox,
    report,
    settled_attempt,
)
from tests.reliability.certificates import authority, signed


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
        async with asyncio.timeout(PATIENCE_SECONDS):
            await hangs.wait()
        await mailing.put("/customers/c-1", {"firstName": "Ada"})
        await settled(mailing, webhook_id, "c-1")
        open_ = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'"
        assert await eventually(lambda: connection.fetchval(f"select ({open_}) = 0"))
        free.set()
        await issue_in(mailing, report_id, "sent")


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
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
        secured = mailed(
            settings,
            box,
            smtp_host="localhost",
            smtp_security="tls" if at_once else "starttls",
            smtp_user="retailos",
            smtp_password="correct horse",
            smtp_ca=tmp_path / "ca.pem",
        )
        async with serving(secured, database) as api:
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


@pytest.mark.parametrize("workers", [3, 8])
async def test_every_report_is_made_and_mailed_once_by_many_workers(
    mailing: Api, box: Postbox, connection: Connection, workers: int
) -> None:
    """R10: however many workers look, each moment of each report has one issue, and each issue one mail."""
    for i in range(5):
        await report(mailing, name=f"r-{i}", cron="0 3 29 2 *")
    stop = asyncio.Event()
    pools = [
        await connect(mailing.database, min_size=1, max_size=3, application_name="tests", statement_timeout_seconds=10)
        for _ in range(workers)
    ]
    clocks = [asyncio.create_task(run_timetable(pool, mailing.engine.settings, stop)) for pool in pools]
    try:
        for ticks in range(1, 5):
            await due_now(connection)
            await eventually(lambda ticks=ticks: len(box.taken) >= 5 * ticks)  # type: ignore[misc]
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
    async with asyncio.timeout(PATIENCE_SECONDS):
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
