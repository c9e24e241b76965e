"""`retailos pull`: everything, and then every change, as lines of JSON; a later pull goes on where one ended."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import msgspec

from retailos.app import until_asked_to_stop
from retailos.cli import remote
from retailos.cli.bookmark import Bookmark
from retailos.cli.options import run
from retailos.cli.patience import pause_seconds
from retailos.cli.pulled import Pulled, open_pulled
from retailos.cli.remote import Remote
from retailos.declare.names import did_you_mean
from retailos.errors import CursorExpired, InvalidCursor, RetailOSError, Unavailable
from retailos.resources import RESOURCES

#: What a request asks for: as much as a page of a list may hold.
ROWS: Final = 500
WAIT_SECONDS: Final = 20


class _Listed(msgspec.Struct, frozen=True, rename="camel"):
    rows: list[msgspec.Raw]
    next_cursor: str | None
    changes_cursor: str | None


class _Changed(msgspec.Struct, frozen=True, rename="camel"):
    rows: list[msgspec.Raw]
    next_cursor: str
    has_more: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Lines to be written, how far they reach, and whether there are more already."""

    lines: list[bytes]
    bookmark: Bookmark
    more: bool


@click.command()
@click.argument("file", default="-", type=click.Path(dir_okay=False, allow_dash=True))
@remote.url
@remote.key
@remote.key_file
@click.option("--resources", help="What to pull, such as customer,store.  [default: everything]")
@click.option("--follow", is_flag=True, help="Go on with what happens, until Ctrl-C or SIGTERM.")
@click.option("--reload", is_flag=True, help="Load everything again, behind what is in the file.")
@click.option(
    "--cursor-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to keep how far it came.  [default: FILE.cursor; nowhere for stdout]",
)
def pull(
    file: str,
    url: str,
    key: str | None,
    key_file: Path | None,
    resources: str | None,
    follow: bool,
    reload: bool,
    cursor_file: Path | None,
) -> None:
    """Write all records to FILE (-: stdout) as lines of JSON, then what has changed since; a later pull goes on there.

    A line is a row of the change feed: resource, id, externalId, operation, version, changedAt and data, the operation
    being `load` where the record was there before. Deleted records come too, with their deletedAt. Lines may come
    twice, after a kill for instance, and none is missed: keep the one with the highest version.

    \b
    Examples:
      retailos pull --key-file key customers.ndjson --resources customer
      retailos pull --key-file key --url https://retailos.example.com --follow all.ndjson
    """
    names = _names(resources)
    api = Remote.named(url, key, key_file)
    with open_pulled(file, cursor_file, reload=reload) as pulled:
        bookmark = pulled.bookmark
        if bookmark and set(bookmark.resources) != set(names):
            told = ",".join(bookmark.resources)
            raise click.UsageError(f"The cursor beside {file} is one of --resources {told}; name these, or --reload.")
        begin = bookmark or Bookmark(resources=names, loading=names)
        if follow:
            run(until_asked_to_stop(_follow(api, pulled, begin)))
        else:
            count = run(_pull(api, pulled, begin))
            click.echo(f"{count:,} lines are written.", err=True)


def _names(text: str | None) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(","))) if text else tuple(RESOURCES)
    for each in names:
        if each not in RESOURCES:
            hint = did_you_mean(each, RESOURCES) or f"; they are {', '.join(RESOURCES)}."
            raise click.UsageError(f"--resources: expected resources, got {each!r}{hint}")
    return names


async def _pull(api: Remote, pulled: Pulled, begin: Bookmark) -> int:
    """Write what there is; give how many lines."""
    count = 0
    async for page in _pages(api, begin):
        pulled.add(page.lines, page.bookmark)
        count += len(page.lines)
        if not page.more:
            break
    return count


async def _follow(api: Remote, pulled: Pulled, bookmark: Bookmark) -> None:
    """Write what there is and what happens, for ever; while the API is away, ask again and again."""
    failed = 0
    while True:
        try:
            async for page in _pages(api, bookmark, wait_seconds=WAIT_SECONDS):
                pulled.add(page.lines, page.bookmark)
                bookmark, failed = page.bookmark, 0
        except Unavailable as error:
            if not failed:
                click.echo(f"{error.message} Trying again.", err=True)
            await asyncio.sleep(pause_seconds(error, failed))
            failed += 1


async def _pages(api: Remote, bookmark: Bookmark, *, wait_seconds: int = 0) -> AsyncIterator[Page]:
    """Read page after page: what is still to be loaded, then changes, without end."""
    while True:
        try:
            page = await (_load(api, bookmark) if bookmark.loading else _changes(api, bookmark, wait_seconds))
        except (CursorExpired, InvalidCursor) as error:
            raise RetailOSError(f"{error.message} Here: retailos pull --reload.") from error
        bookmark = page.bookmark
        yield page


async def _load(api: Remote, bookmark: Bookmark) -> Page:
    """A page of what was there before; the cursor of the first of all goes on where this loading began."""
    resource = RESOURCES[bookmark.loading[0]]
    # In an order that nothing changes, and with the deleted ones, of which a copy may have been made before.
    asked = {"limit": ROWS, "sort": "id", "includeDeleted": "true", "withCount": "false"}
    asked |= {"cursor": bookmark.page} if bookmark.page else {}
    listed = msgspec.json.decode(await api.get(f"/{resource.collection}", asked), type=_Listed)
    rest = bookmark.loading if listed.next_cursor else bookmark.loading[1:]
    ahead = msgspec.structs.replace(
        bookmark, cursor=bookmark.cursor or listed.changes_cursor, loading=rest, page=listed.next_cursor
    )
    return Page([_line(resource.name, resource.external_id.name, each) for each in listed.rows], ahead, True)


def _line(resource: str, external_id: str, record: msgspec.Raw) -> bytes:
    """A record as a row of the change feed."""
    own = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    row = {"resource": resource, "id": own["id"], "externalId": own[external_id], "operation": "load"}
    return msgspec.json.encode(row | {"version": own["version"], "changedAt": own["updatedAt"], "data": record})


async def _changes(api: Remote, bookmark: Bookmark, wait_seconds: int) -> Page:
    asked = {"resources": ",".join(bookmark.resources), "since": bookmark.cursor, "limit": ROWS, "wait": wait_seconds}
    result = await api.get("/changes", asked, wait_seconds=wait_seconds)
    changed = msgspec.json.decode(result, type=_Changed)
    ahead = msgspec.structs.replace(bookmark, cursor=changed.next_cursor)
    return Page([bytes(each) for each in changed.rows], ahead, changed.has_more)
