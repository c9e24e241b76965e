"""A group of commands: its help tells of each in a sentence, and a name that is none is told the next best."""

import click


class Group(click.Group):
    """As click's, which cuts sentences off at the end of a line, and does not know what can be loaded."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, each with the first sentence of its help."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl([(name, _sentence(each)) for name, each in commands.items() if each])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is named; NoSuchCommand, with names that are like it, where there is none."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            names = self.list_commands(ctx)
            raise click.exceptions.NoSuchCommand(error.command_name, possibilities=names, ctx=ctx) from None


def _sentence(command: click.Command) -> str:
    return command.get_short_help_str(limit=1_000)
