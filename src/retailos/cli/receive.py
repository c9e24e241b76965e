"""`retailos receive`: plays the other system, which is told of changes, and shows what it is told."""

import asyncio
import re
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec
from rich.console import Console
from rich.text import Text

from retailos.api.port import address
from retailos.cli.options import output, run, write_json
from retailos.errors import ConfigurationError
from retailos.receiver import Behaviour, Received, Receiver
from retailos.supervisor import Line


class Failures(click.ParamType[tuple[int, float]]):
    """`500` or `500:30%`: a status, and the share of requests that get it."""

    name = "STATUS[:SHARE%]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, float]:
        """Read the status and the share, from 0 to 1."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([1-5]\d\d)(?::(\d{1,3}(?:\.\d+)?)%?)?", value)
        if not match or float(match[2] or 100) > 100:
            self.fail(f"expected a status such as 500, or with a share such as 500:30%, got {value!r}", param, ctx)
        return int(match[1]), float(match[2] or 100) / 100


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The name or address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=9000, show_default=True, help="The TCP port; 0: any.")
@click.option("--status", type=click.IntRange(200, 599), default=200, show_default=True, help="The status to answer.")
@click.option("--fail", type=Failures(), help="Answer with this status instead, or so many of the requests.")
@click.option("--refuse", type=click.FloatRange(0, 100), default=0.0, help="Per cent of a batch's records to refuse.")
@click.option("--delay", type=click.FloatRange(0, 3600), default=0.0, help="Seconds to wait before each answer.")
@click.option("--retry-after", type=click.IntRange(0, 86_400), help="Seconds to ask for in the header Retry-After.")
@click.option("--drop", is_flag=True, help="Close the connection without an answer.")
@click.option("--bodies", is_flag=True, help="Show the bodies too.")
@output
@click.option("--supervised", type=int, hidden=True)
def receive(
    host: str,
    port: int,
    status: int,
    fail: tuple[int, float] | None,
    refuse: float,
    delay: float,
    retry_after: int | None,
    drop: bool,
    bodies: bool,
    output: str,
    supervised: int | None,
) -> None:
    """Receive webhooks and show them, until Ctrl-C; answer as told, to see what happens then.

    A batch gets a result for each of its records, as a webhook expects it unless told otherwise.

    \b
    Examples:
      retailos receive --port 9000
      retailos receive --fail 500:30% --delay 2
      retailos receive --status 429 --retry-after 5
      retailos receive --refuse 10
    """
    fail_status, fail_ratio = fail or (503, 0.0)
    behaviour = Behaviour(
        status=status,
        delay_seconds=delay,
        retry_after=retry_after,
        fail_status=fail_status,
        fail_ratio=fail_ratio,
        refuse_ratio=refuse / 100,
        drop=drop,
    )
    console = Console(soft_wrap=True, highlight=False)
    line = None if supervised is None else Line(supervised)
    settings = line.settings() if line else None

    def show(received: Received, status: int) -> None:
        request = told(received, status)
        if line:
            line.tell(msgspec.json.encode(request))
        if output == "json":
            write_json(request)
        else:
            _print(console, request, received if bodies else None)

    def ready(receiver: Receiver) -> None:
        if line:
            line.ready(urlsplit(receiver.url).port or 0)
        elif output == "json":
            write_json({"url": receiver.url})
        else:
            click.echo(f"Receiving at {receiver.url}; Ctrl-C stops it.")

    place = (settings.host, settings.port) if settings else (host, port)
    run(_receive(*place, behaviour, show, ready))


async def _receive(
    host: str,
    port: int,
    behaviour: Behaviour,
    show: Callable[[Received, int], None],
    ready: Callable[[Receiver], None],
) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    try:
        async with Receiver.listen(host, port, behaviour, remember=0, on_received=show) as receiver:
            ready(receiver)
            await stop.wait()
    except OSError as error:
        raise ConfigurationError(
            f"The receiver can't listen at {address(host, port)}: {error.strerror}. "
            "End what listens there, or choose another --host or --port."
        ) from error


def told(received: Received, status: int) -> dict[str, Any]:
    """What a program is told of a request: when and what came, and how it was answered (0: not at all)."""
    return {
        "at": datetime.now(UTC),
        "method": received.method,
        "path": received.path,
        "version": received.header("x-ra-record-version"),
        "attempt": received.header("x-ra-attempt"),
        "records": received.header("x-ra-batch-size"),
        "bytes": len(received.body),
        "status": status,
    }


def _print(console: Console, request: dict[str, Any], received: Received | None) -> None:
    console.print(line_of(request, datetime.now()))
    if received:
        try:
            console.print_json(data=received.json())
        except msgspec.DecodeError:
            console.print(Text(received.body.decode(errors="replace")))


def line_of(request: dict[str, Any], at: datetime) -> Text:
    """One line for people: when, what came, and how it was answered, which is green if it was taken."""
    status = request["status"]
    line = Text.assemble(
        (f"{at:%H:%M:%S}.{at.microsecond // 1000:03}  ", "dim"),
        (request["method"], "bold"),
        f" {request['path']}",
    )
    if request["version"]:
        line.append(f"  version {request['version']}, attempt {request['attempt']}", "dim")
    elif request["records"]:
        line.append(f"  {request['records']} records", "dim")
    line.append(f"  {request['bytes']:,} bytes  ", "dim")
    answered = str(status) if status else "no answer"
    return line.append(f"→ {answered}", "green" if 200 <= status < 300 else "red")
