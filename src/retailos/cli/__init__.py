"""The command line: `retailos …`, each command in a file of its own that is loaded when it is asked for."""

from importlib import import_module
from types import MappingProxyType
from typing import Final

import click

from retailos import __version__
from retailos.cli.group import Group
from retailos.errors import ConfigurationError, RetailOSError, ValidationFailed
from retailos.loading import undisturbed

COMMANDS: Final = MappingProxyType(
    {
        "serve": "retailos.cli.serve",
        "demo": "retailos.cli.demo",
        "keys": "retailos.cli.keys",
        "webhook": "retailos.cli.webhook",
        "deliveries": "retailos.cli.deliveries",
        "tail": "retailos.cli.tail",
        "requeue": "retailos.cli.requeue",
        "dismiss": "retailos.cli.requeue",
        "operations": "retailos.cli.operations",
        "explain": "retailos.cli.tending",
        "report": "retailos.cli.report",
        "secrets": "retailos.cli.secrets",
        "push": "retailos.cli.push",
        "receive": "retailos.cli.receive",
        "pull": "retailos.cli.pull",
        "migrate": "retailos.cli.migrate",
        "doctor": "retailos.cli.doctor",
        "openapi": "retailos.cli.openapi",
    }
)


class Commands(Group):
    """The table of commands, and the one face of what goes wrong in them: a line on stderr, and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names as `--help` lists them: what is used first, first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command: the function of its name in its file."""
        if cmd_name not in COMMANDS:
            return None
        with undisturbed():
            command: click.Command = getattr(import_module(COMMANDS[cmd_name]), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run a command, and say what went wrong in it."""
        try:
            return super().invoke(ctx)
        except ValidationFailed as error:
            raise click.ClickException("; ".join(problem.message for problem in error.problems)) from error
        except (ConfigurationError, RetailOSError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="retailos")
def main() -> None:
    """A record is written, and whoever asked is told.

    \b
    retailos demo                      see it work, with sample data
    retailos serve --data-dir data     run it on a PostgreSQL of its own

    Settings come from the environment (RETAILOS_…) or the TOML file that RETAILOS_CONFIG names; docs/settings.md lists
    them. Exit codes: 0 it went well, 1 it failed, 2 it was asked for wrongly.
    """
