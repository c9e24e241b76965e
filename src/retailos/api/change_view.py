"""Changes as they are shown: in a page of the feed, or one by one in a stream."""

from uuid import UUID

import msgspec

from retailos.records import feed
from retailos.records.feed import Change, Read


class ChangeView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A record that changed, as it is now."""

    resource: str
    id: UUID
    external_id: str
    operation: str
    version: int
    changed_at: str
    data: msgspec.Raw


class ChangesView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Changes, and the cursor to come back with once they are processed."""

    rows: list[ChangeView]
    next_cursor: str
    has_more: bool


def view(change: Change) -> ChangeView:
    """Show one change."""
    return ChangeView(
        resource=change.resource,
        id=change.id,
        external_id=change.external_id,
        operation=change.operation,
        version=change.version,
        changed_at=change.changed_at,
        data=msgspec.Raw(change.json.encode()),
    )


def page(read: Read) -> ChangesView:
    """Show what was read at once."""
    return ChangesView(
        rows=[view(each) for each in read.changes], next_cursor=feed.written(read.position), has_more=read.more
    )
