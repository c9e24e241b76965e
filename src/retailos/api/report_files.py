"""The files of reports, to whoever has a link that was signed here and whose time is not over; no key is asked for."""

from collections.abc import Iterator
from datetime import UTC, datetime

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from retailos.api.call import Call, Engine, Stream
from retailos.api.events import send_stream
from retailos.database.pool import acquire
from retailos.errors import LinkExpired
from retailos.keys.store import pepper_of
from retailos.reports import issues, link
from retailos.reports.file import FORMS
from retailos.reports.link import ROOT, STEM


def report_file_routes(engine: Engine) -> Iterator[BaseRoute]:
    """One route for each form that a file has."""
    for form in FORMS:
        yield Route(f"{ROOT}/{{issue}}/{STEM}.{form}", _File(engine), methods=["GET"])


class _File:
    """A file as an ASGI application."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, as it was when its mail was written; LinkExpired and ResourceNotFound as `link` has them."""
        call: Call = scope["retailos.call"]
        async with acquire(self._engine.pool) as connection:
            key = link.key_of(await pepper_of(connection, self._engine.settings.pepper_bytes))
            linked = link.opened(key, scope["path"], call.query.decode("latin-1"), datetime.now(UTC))
            issue = await issues.find(connection, linked.issue_id)
        # It was there when its link was made, and is not kept any more.
        if issue is None:
            raise LinkExpired
        stream = Stream(
            media_type=FORMS[linked.form].media_type,
            chunks=issues.file_of(self._engine.pool, issue, linked.form),
            name=f"failures-{issue.at:%Y%m%d-%H%M}.{linked.form}",
        )
        await send_stream(scope, receive, send, stream)
