"""The command line explains itself: each command with an example, and each list of them in whole sentences."""

import re

import pytest
from click.testing import CliRunner

from retailos.cli import COMMANDS, main
from tests.acceptance.program import ran

HELPED = (
    (),
    *((name,) for name in COMMANDS),
    *(("keys", name) for name in ("create", "list", "change", "rotate", "revoke")),
    *(("secrets", name) for name in ("new-key", "rotate")),
    *(("webhook", name) for name in ("add", "change", "list", "show", "pause", "resume", "rotate-secret", "delete")),
    *(("report", name) for name in ("add", "change", "list", "preview", "send", "issues", "pause", "resume", "delete")),
    *(
        ("webhook", name)
        for name in ("disable", "enable", "backfill", "resync", "drift", "openings", "test", "trigger")
    ),
    *(("operations", name) for name in ("list", "show", "cancel")),
)


@pytest.mark.parametrize("command", HELPED, ids=" ".join)
def test_every_command_helps(command: tuple[str, ...]) -> None:
    """Each command explains itself, with an example to paste."""
    helped = CliRunner().invoke(main, [*command, "--help"], prog_name="retailos")
    assert helped.exit_code == 0
    assert re.search(r"^ +(RETAILOS_\S+ )?retailos [a-z]+", helped.output, re.MULTILINE), helped.output
    assert "supervised" not in helped.output


async def test_the_program_names_its_commands() -> None:
    """Whoever asks the program what it can do is told each of its commands."""
    ended = await ran("--help")
    assert (ended.code, ended.err) == (0, "")
    assert [name for name in COMMANDS if not re.search(rf"^  {name} +\w", ended.out, re.MULTILINE)] == []


@pytest.mark.parametrize(
    "group", [(), ("keys",), ("webhook",), ("report",), ("secrets",), ("operations",)], ids=" ".join
)
def test_a_list_of_commands_tells_of_each_in_a_sentence(group: tuple[str, ...]) -> None:
    """What a command does can be read to its end in the list that names it, on a terminal of 80 columns, too."""
    helped = CliRunner().invoke(main, [*group, "--help"], prog_name="retailos", terminal_width=80)
    listed = " ".join(helped.output.partition("Commands:\n")[2].split())
    assert listed
    assert "..." not in listed
    assert listed.endswith(".")
