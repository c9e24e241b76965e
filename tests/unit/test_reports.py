"""Reports without a database: when they are due, what their files and mails say, and what a link opens."""

import csv
import io
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retailos.errors import LinkExpired, ResourceNotFound
from retailos.reports import cadence, link, mail
from retailos.reports.file import FORMS, Row
from retailos.reports.issue import FailureCount, Issue
from retailos.reports.report import RECIPIENTS_MOST, Report, read_report

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ISSUE = UUID("0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e6f")
KEY = link.key_of(b"pepper")
TO = "operations@example.com"


def utc(text: str) -> datetime:
    """A moment of 2026 in UTC: `03-29 06:00`."""
    return datetime.fromisoformat(f"2026-{text}:00+00:00")


@pytest.mark.parametrize(
    ("cron", "zone", "after", "due"),
    [
        ("0 7 * * *", "UTC", "11-28 06:59", "11-28 07:00"),
        ("0 7 * * *", "UTC", "11-28 07:00", "11-29 07:00"),
        ("0 7 * * *", "Europe/London", "03-28 12:00", "03-29 06:00"),
        ("0 7 * * *", "Europe/London", "10-24 12:00", "10-25 07:00"),
        ("0 7 * * MON-FRI", "America/New_York", "11-28 00:00", "11-30 12:00"),
        ("*/15 * * * *", "Asia/Kolkata", "11-28 00:01", "11-28 00:15"),
        # Half past one is left out on that night, and done when the clock is put forward.
        ("30 1 * * *", "Europe/London", "03-29 00:00", "03-29 01:00"),
        ("30 1 * * *", "Europe/London", "03-29 01:00", "03-30 00:30"),
        # It comes twice in October, and counts once: the first time.
        ("30 1 * * *", "Europe/London", "10-25 00:00", "10-25 00:30"),
        ("30 1 * * *", "Europe/London", "10-25 00:30", "10-26 01:30"),
        ("30 1 * * *", "Europe/London", "10-25 01:10", "10-26 01:30"),
        # Every half hour is every half hour, on that night too.
        ("*/30 * * * *", "Europe/London", "10-25 00:30", "10-25 01:00"),
        ("*/30 * * * *", "Europe/London", "10-25 01:00", "10-25 01:30"),
        ("0 0 29 2 *", "UTC", "11-28 00:00", None),
    ],
)
def test_a_report_is_due_by_the_wall_clock_of_its_zone(cron: str, zone: str, after: str, due: str | None) -> None:
    """The next moment is the zone's, also on the nights when clocks are put forward and back."""
    expected = utc(due) if due else datetime(2028, 2, 29, tzinfo=UTC)
    assert cadence.next_after(cron, zone, utc(after)) == expected


@given(
    st.sampled_from(["30 1 * * *", "0 2 * * *", "*/20 * * * *", "15 1,2,3 * * *", "0 */3 * * SUN"]),
    st.sampled_from(["Europe/London", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
)
def test_a_report_is_never_due_twice_or_in_the_past(cron: str, zone: str, moment: datetime) -> None:
    """Each next moment is behind the one before, whatever clocks do."""
    first = cadence.next_after(cron, zone, moment)
    assert first > moment
    assert cadence.next_after(cron, zone, first) > first
    assert cadence.next_after(cron, zone, first - timedelta(microseconds=1)) == first


def problems(**said: Any) -> list[tuple[str, str]]:
    """What is wrong with a report that says this besides what it must."""
    _, found = read_report({"name": "daily", "recipients": [TO]} | said, NOW)
    return [(each.path, each.code) for each in found]


def test_a_report_is_daily_at_seven_unless_told() -> None:
    """Whoever names the report and its recipients has said enough."""
    values, found = read_report({"name": "daily", "recipients": [TO, TO]}, NOW)
    assert found == []
    assert values == {
        "name": "daily",
        "webhook": None,
        "cron": "0 7 * * *",
        "timeZone": "UTC",
        "recipients": [TO],
        "sendEmpty": True,
        "active": True,
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"cron": "0 7 * *"}, ("/cron", "TOO_SHORT")),
        ({"cron": "0 0 7 * * *"}, ("/cron", "INVALID_CRON")),
        ({"cron": "0 25 * * *"}, ("/cron", "INVALID_CRON")),
        ({"cron": "every day at 7"}, ("/cron", "INVALID_CRON")),
        ({"cron": "0 0 30 2 *"}, ("/cron", "INVALID_CRON")),
        ({"cron": "0 0 31 4,6,9,11 *"}, ("/cron", "INVALID_CRON")),
        ({"cron": "0 0 \ud800 * *"}, ("/cron", "UNSTORABLE_TEXT")),
        ({"cron": "0 0 \u0661 * *"}, ("/cron", "INVALID_CRON")),
        ({"timeZone": "Europe/Londn"}, ("/timeZone", "UNKNOWN_TIME_ZONE")),
        ({"timeZone": "../../etc/passwd"}, ("/timeZone", "INVALID_CODE")),
        ({"timeZone": "Europe"}, ("/timeZone", "UNKNOWN_TIME_ZONE")),
        ({"recipients": []}, ("/recipients", "TOO_FEW")),
        ({"recipients": None}, ("/recipients", "REQUIRED")),
        ({"recipients": TO}, ("/recipients", "WRONG_TYPE")),
        ({"recipients": [TO] * (RECIPIENTS_MOST + 1)}, ("/recipients", "TOO_MANY")),
        ({"recipients": [TO, "nobody"]}, ("/recipients/1", "INVALID_EMAIL")),
        ({"recipients": [f"{TO}, {TO}"]}, ("/recipients/0", "INVALID_EMAIL")),
        ({"recipients": [f"Ada <{TO}>"]}, ("/recipients/0", "INVALID_EMAIL")),
        ({"recipients": [f"{TO}\r\nBcc: {TO}"]}, ("/recipients/0", "INVALID_EMAIL")),
        ({"recipients": ["ädä@example.com"]}, ("/recipients/0", "INVALID_EMAIL")),
        ({"recipients": [7]}, ("/recipients/0", "WRONG_TYPE")),
        ({"name": "a\nb"}, ("/name", "INVALID_NAME")),
        ({"name": ""}, ("/name", "TOO_SHORT")),
        ({"webhook": 0}, ("/webhook", "OUT_OF_RANGE")),
        ({"frequency": "daily"}, ("/frequency", "UNKNOWN_FIELD")),
    ],
)
def test_what_makes_no_report_is_told(said: dict[str, Any], expected: tuple[str, str]) -> None:
    """A report that would never be due, or go nowhere, is refused with a pointer to what is wrong."""
    assert problems(**said) == [expected]


def row(**said: Any) -> Row:
    """A failure."""
    usual = Row(
        queue_name="webhook:customer:erp",
        delivery_id=f"1-{ISSUE}",
        job_id=None,
        resource="customer",
        record_id=ISSUE,
        version=3,
        error_class="http_4xx",
        attempts=6,
        failed_at="2026-11-28T07:00:00.000Z",
    )
    return msgspec.structs.replace(usual, **said)


@given(st.text() | st.sampled_from(["=1+1", "+1", "-1", "@A1", "\tx", "\rx", '"quoted"', "a,b", "a\nb"]))
def test_a_cell_of_the_file_is_no_formula_and_stays_one_cell(text: str) -> None:
    """Whatever a name holds, a spreadsheet shows it and computes nothing."""
    form = FORMS["csv"]
    data = (form.head + form.rows([row(queue_name=text.encode("utf-8", "replace").decode())])).decode()
    header, cells = csv.reader(io.StringIO(data, newline=""))
    assert header == [each.encode_name for each in msgspec.structs.fields(Row)]
    assert len(cells) == len(header)
    assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    assert cells[0].removeprefix("'") == text.encode("utf-8", "replace").decode().removeprefix("'")
    assert data.startswith('"')


def test_both_forms_of_a_file_say_the_same() -> None:
    """The lines of JSON hold what the cells hold."""
    rows = [row(), row(delivery_id=None, job_id=ISSUE, version=None)]
    [first, second] = map(msgspec.json.decode, FORMS["ndjson"].rows(rows).splitlines())
    [header, *cells] = csv.reader(io.StringIO((FORMS["csv"].head + FORMS["csv"].rows(rows)).decode()))
    assert [list(first), list(second)] == [header, header]
    assert [["" if each is None else str(each) for each in line.values()] for line in (first, second)] == cells


def split(url: str) -> tuple[str, str]:
    """The path and the query of a link."""
    path, _, query = url.partition("?")
    return path, query


def test_a_link_opens_the_file_until_its_time_is_over() -> None:
    """Each form has its link, which is the same whenever it is made, and ends to the second."""
    made = link.links(KEY, ISSUE, NOW, 7)
    assert made == link.links(KEY, ISSUE, NOW, 7)
    for form, url in made.items():
        for when in (NOW, NOW + timedelta(days=7)):
            assert link.opened(KEY, *split(url), when) == (ISSUE, form)
        with pytest.raises(LinkExpired):
            link.opened(KEY, *split(url), NOW + timedelta(days=7, seconds=1))


def test_a_link_that_was_not_made_here_opens_nothing() -> None:
    """A signature is of one file, one time and one installation; whatever else comes finds nothing."""
    path, query = split(link.links(KEY, ISSUE, NOW, 7)["csv"])
    expires, signature = query.removeprefix("expires=").split("&signature=")
    later = int(expires) + 1
    for wrong_path, wrong_query in (
        (path.replace("csv", "ndjson"), query),
        (path.replace("0190", "0191"), query),
        (path, f"expires={later}&signature={signature}"),
        (path, f"expires={expires}&signature={signature[:-1]}"),
        (path, f"expires={expires}&signature="),
        (path, f"expires={expires}&signature=é"),
        (path, f"expires={expires}"),
        (path, f"expires={expires}&x=1&signature={signature}"),
        (path, f"signature={signature}&expires={expires}"),
        (path, f"{query}&signature={signature}"),
        (path, ""),
    ):
        with pytest.raises(ResourceNotFound):
            link.opened(KEY, wrong_path, wrong_query, NOW)
    with pytest.raises(ResourceNotFound):
        link.opened(link.key_of(b"salt"), path, query, NOW)


REPORT = Report.of(
    id=1,
    name='<b>daily</b> & "more"',
    webhook_id=None,
    settings={"recipients": [TO], "timeZone": "Europe/London"},
    active=True,
    next_at=None,
    created_at=NOW,
    updated_at=NOW,
)


def issue(*counts: FailureCount, **said: Any) -> Issue:
    """An issue with these counts."""
    total = sum(each.count for each in counts)
    usual = Issue(
        id=ISSUE,
        report_id=1,
        at=datetime(2026, 7, 1, 6, tzinfo=UTC),
        counts=counts,
        total=total,
        rows=total,
        status="sending",
        attempts=1,
        recipients=(TO,),
        waiting=(TO,),
        refused={},
        error=None,
        sent_at=None,
    )
    return msgspec.structs.replace(usual, **said)


def count(queue: str, error_class: str, number: int) -> FailureCount:
    """So many failures of a kind."""
    return FailureCount(webhook_id=1, queue_name=queue, error_class=error_class, count=number)


def written(made: Issue) -> mail.Mail:
    """The mail of an issue, with links."""
    links = {form: f"https://retailos.example.com{path}" for form, path in link.links(KEY, ISSUE, made.at, 7).items()}
    return mail.written(REPORT, made, links, link.expiry(made.at, 7), "prod")


class Seen(HTMLParser):
    """What a reader of HTML sees: words, and where links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str | None] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember a link."""
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        """Remember words."""
        self.words += data.split()


def test_a_mail_counts_by_webhook_and_error_class() -> None:
    """Text and HTML say the same: how much failed, where, for which reason, and until when the links are good."""
    made = issue(count("webhook:customer:erp", "http_4xx", 12_345), count("webhook:customer:erp", "timeout", 1))
    letter = written(made)
    seen = Seen(letter.html)
    for word in ("12,346", "webhook:customer:erp", "http_4xx", "12,345", "timeout", "July", "07:00", "Europe/London"):
        assert word in letter.text
        assert any(word in each for each in seen.words), word
    assert letter.subject == '[RetailOS prod] <b>daily</b> & "more": 12,346 failures'
    assert letter.text.count("webhook:customer:erp") == 1
    for form, path in link.links(KEY, ISSUE, made.at, 7).items():
        assert f"https://retailos.example.com{path}" in letter.text, form
    assert len(seen.links) == 2
    assert all(each and each in letter.text for each in seen.links)
    assert "8 July 2026, 07:00 Europe/London" in letter.text


def test_a_name_in_a_mail_is_text() -> None:
    """What a name holds is shown, and is no HTML and no header of the mail."""
    letter = written(issue(count("webhook:customer:<script>x</script>", "timeout", 1)))
    assert "script" not in Seen(letter.html).tags
    assert "b" not in Seen(letter.html).tags
    assert "<b>daily</b>" in letter.text
    assert "1 failure" in letter.subject


def test_a_mail_of_nothing_says_so() -> None:
    """A report without failures tells that there are none, and has no file to link to."""
    letter = written(issue())
    assert letter.subject.endswith("nothing has failed")
    assert Seen(letter.html).links == []
    assert "https://" not in letter.text


def test_a_mail_says_where_its_file_ends() -> None:
    """Where the file has a limit, the mail tells that its count is more."""
    letter = written(issue(count("webhook:customer:erp", "timeout", 5_000), rows=4_000))
    assert "the first 4,000" in letter.text
    assert "4,000" in letter.html


def test_a_message_can_be_told_from_its_repetition() -> None:
    """Each attempt's message has the same id and date, so that a mail server can tell that it is one."""
    made = issue(count("webhook:customer:erp", "timeout", 1))
    sent = mail.message(written(made), made, "retailos@example.com", (TO, "b@example.com"))
    again = mail.message(written(made), made, "retailos@example.com", (TO, "b@example.com"))
    first, second = (message_from_bytes(each.as_bytes(), policy=default) for each in (sent, again))
    assert first["Message-ID"] == second["Message-ID"] == f"<report.{ISSUE}@example.com>"
    assert first["Date"] == second["Date"]
    assert first["To"] == f"{TO}, b@example.com"
    assert first["Auto-Submitted"] == "auto-generated"
    kinds = [part.get_content_type() for part in first.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    assert all(len(line) < 998 for line in first.as_bytes().splitlines())
    letter = written(made)
    body = first.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == letter.text
