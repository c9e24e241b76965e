"""Files for the tests of imports: sent to the API, applied at once, and what came of them."""

import asyncio
import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from retailos.imports.runner import Runner, run_next
from tests.contract.conftest import Api, Response

MEDIA_TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}


def ndjson(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as lines of JSON."""
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def as_csv(rows: Sequence[Sequence[str]], separator: str = ",") -> bytes:
    """Rows, the first of them the header, as CSV."""
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


async def send(api: Api, file: bytes, form: str = "csv", *, query: str = "resource=customer", **more: Any) -> Response:
    """POST a file."""
    headers = {"Content-Type": MEDIA_TYPES[form]} | more.pop("headers", {})
    return await api.request("POST", f"/v2/public/imports?{query}", body=file, headers=headers, **more)


async def send_packed(api: Api, file: bytes, form: str = "csv", **more: Any) -> Response:
    """POST a file packed with gzip."""
    return await send(api, gzip.compress(file), form, headers={"Content-Encoding": "gzip"}, **more)


def runner_of(api: Api) -> Runner:
    """What applies imports, of this process."""
    return Runner(
        pool=api.engine.pool, resources=api.engine.resources, lease_seconds=10.0, days=30, after_commit=lambda: None
    )


async def applied(api: Api, sent: Response) -> Any:
    """Apply all that waits; give what became of the import that was sent."""
    assert sent.status == 202, sent.body
    runner = runner_of(api)
    while await run_next(runner, asyncio.Event()):
        pass
    return (await api.get(f"/imports/{sent.result['id']}")).result


async def refused_rows(api: Api, import_id: str) -> bytes:
    """The rows of an import that were refused, as they are given back."""
    answer = await api.get(f"/imports/{import_id}/results?status=failed")
    assert answer.status == 200
    return unchunked(answer.body)


def unchunked(body: bytes) -> bytes:
    """A body of HTTP chunks as what it is."""
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole, body = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return whole
