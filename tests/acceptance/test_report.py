"""`retailos report`: a report is set up, looked at, sent and taken away by commands."""

from typing import Any

import msgspec

from tests.acceptance.program import ran

TO = "operations@example.com"


async def told(database: str, *arguments: str) -> Any:
    """What a command that goes well prints for programs."""
    ended = await ran("report", *arguments, "--output", "json", database_url=database)
    assert ended.code == 0, ended.err
    return msgspec.json.decode(ended.out)


async def test_a_report_is_set_up_and_sent_by_commands(database: str) -> None:
    """What the admin API does with reports, commands do: for programs as JSON, and for people in words."""
    added = await told(database, "add", "--name", "daily", "--to", TO, "--cron", "30 6 * * *", "--no-send-empty")
    assert (added["recipients"], added["cron"], added["sendEmpty"], added["webhook"]) == (
        [TO],
        "30 6 * * *",
        False,
        None,
    )
    number = str(added["id"])
    changed = await told(database, "change", number, "--to", "a@example.com", "--to", TO, "--cron", "0 8 * * *")
    expected = {"recipients": ["a@example.com", TO], "cron": "0 8 * * *", "sendEmpty": False, "name": "daily"}
    assert changed.items() >= expected.items()
    assert (await ran("report", "change", number, database_url=database)).code == 2
    added = await told(database, "change", number, "--to", TO, "--cron", "30 6 * * *")
    assert await told(database, "list") == [added]
    assert (await told(database, "preview", number))["total"] == 0
    sent = await told(database, "send", number)
    assert await told(database, "issues", number) == [sent]
    assert (await told(database, "pause", number))["nextAt"] is None
    assert (await told(database, "resume", number))["nextAt"] == added["nextAt"]
    words = {("list",): TO, ("preview", number): "Subject: ", ("issues", number): sent["files"]["csv"][:20]}
    for arguments, said in words.items():
        ended = await ran("report", *arguments, database_url=database)
        assert (ended.code, said in ended.out) == (0, True), ended.out
    wrong = await ran("report", "add", "--name", "x", "--to", "nobody", "--cron", "daily", database_url=database)
    assert wrong.code == 1
    assert "expected one address such as name@example.com" in wrong.err
    assert await told(database, "delete", number) == {"id": added["id"]}
    assert await told(database, "list") == []
