"""What the routes of imports do: take a file in, tell how far it is, end it, and give back what was refused of it."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from retailos.api.access import check_again
from retailos.api.body import media_type_of
from retailos.api.call import Answer, Call, Engine, Stream
from retailos.api.endpoints import record_id_of, refuse_parameters
from retailos.api.envelope import encode
from retailos.api.uploads import take_in
from retailos.declare.names import did_you_mean
from retailos.declare.resource import Resource
from retailos.errors import Forbidden, Problem, UnsupportedMediaType, ValidationFailed
from retailos.imports import imports, upload
from retailos.imports.imports import STATUSES, Import
from retailos.imports.rows import FORMATS
from retailos.imports.upload import Limits
from retailos.records import query
from retailos.records.identity import new_id

#: The format that a media type tells; one that tells none needs the parameter.
MEDIA_TYPES: Mapping[str, str | None] = MappingProxyType(
    {
        "application/x-ndjson": "ndjson",
        "application/ndjson": "ndjson",
        "application/jsonl": "ndjson",
        "text/csv": "csv",
        "application/gzip": None,
        "application/x-gzip": None,
        "application/octet-stream": None,
    }
)
#: The media type that each format is given back as.
GIVEN: Mapping[str, str] = MappingProxyType(
    {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8; header=present"}
)


async def create_import(engine: Engine, call: Call) -> Answer:
    """POST a file of records as NDJSON or CSV, packed with gzip or not; it is applied in the background, row by row.

    A file that is damaged anywhere is refused whole. Rows are applied in their order, each as a bulk upsert would be,
    and imports one after another, in the order in which their uploads ended. With an Idempotency-Key it is one import,
    however often the file is sent.
    """
    asked = _asked(engine, call)
    limits = Limits(record_bytes=engine.settings.body_limit_bytes, file_bytes=engine.settings.import_limit_bytes)

    async def check() -> None:
        await check_again(engine, call)
        _check_may_write(call, asked.resource.name)

    return await take_in(engine, call, asked, limits, check)


async def get_imports(engine: Engine, call: Call) -> Answer:
    """GET imports of the resources that the key may see, newest first."""
    given = query.parameters(call.query)
    query.refuse_unknown(given, ("resource", "status", "limit", "offset"))
    problems: list[Problem] = []
    named = _resource(engine, given["resource"], problems) if "resource" in given else None
    status = query.word(given, "status", STATUSES, problems)
    limit, offset = query.span(given, problems)
    if problems:
        raise ValidationFailed(problems)
    if named:
        _check_may_see(call, named.name)
    seen = (named.name,) if named else tuple(name for name in engine.resources if _may_see(call, name))
    asked = imports.Asked(resources=seen, status=status, limit=limit, offset=offset)
    return Answer(encode({"count": None, "rows": await imports.list_imports(engine.pool, asked)}))


async def get_import(engine: Engine, call: Call) -> Answer:
    """GET an import: how far it is, and what came of its rows so far."""
    refuse_parameters(call)
    return Answer(encode(await _seen(engine, call)))


async def cancel_import(engine: Engine, call: Call) -> Answer:
    """DELETE an import that has not ended: no more of its rows are applied. Those that are stay as they are."""
    refuse_parameters(call)
    found = await _seen(engine, call)
    _check_may_write(call, found.resource)
    return Answer(encode(await imports.cancel(engine.pool, found.id)))


async def get_results(engine: Engine, call: Call) -> Stream:
    """GET the rows that were refused, in the file's own format, to be corrected and sent again.
    They are for keys that allow `read` of the file's resource, and for the key that sent the file; others get a 403.

    Each has two more members or columns, `_error` and `_line`, which are passed over when it is sent again.
    """
    given = query.parameters(call.query)
    query.refuse_unknown(given, ("status",))
    if given.get("status", "failed") != "failed":
        raise ValidationFailed([Problem("status", "UNKNOWN_CHOICE", "expected failed")])
    found = await _seen(engine, call)
    await _check_may_see_rows(engine, call, found)
    pieces = await imports.failed_rows(engine.pool, engine.resources, found.id)
    name = f"{found.id}.failed.{found.format}"
    return Stream(media_type=GIVEN[found.format], chunks=pieces, name=name)


async def _seen(engine: Engine, call: Call) -> Import:
    found = await imports.find(engine.pool, record_id_of(call))
    _check_may_see(call, found.resource)
    return found


def _asked(engine: Engine, call: Call) -> upload.Asked:
    given = query.parameters(call.query)
    query.refuse_unknown(given, ("resource", "format", "maxErrorRate"))
    problems: list[Problem] = []
    resource = _resource(engine, given.get("resource"), problems)
    rate = _rate(given.get("maxErrorRate", "1"), problems)
    form = query.word(given, "format", FORMATS, problems)
    if problems or resource is None:
        raise ValidationFailed(problems)
    _check_may_write(call, resource.name)
    media_type = _media_type(call)
    told = MEDIA_TYPES[media_type]
    if form is None and told is None:
        message = f"expected the format, since {media_type} tells none: {' or '.join(FORMATS)}"
        raise ValidationFailed([Problem("format", "REQUIRED", message)])
    if form and told and form != told:
        raise UnsupportedMediaType(f"expected a Content-Type that goes with format={form}, got {media_type}")
    return upload.Asked(
        id=new_id(),
        resource=resource,
        format=form or told or "",
        gzip=_is_encoded(call) or "gzip" in media_type,
        max_error_rate=rate,
        request_id=call.request_id,
        api_key_id=call.api_key_id,
    )


def _resource(engine: Engine, name: str | None, problems: list[Problem]) -> Resource | None:
    if name is None:
        problems.append(Problem("resource", "REQUIRED", f"expected one of {', '.join(engine.resources)}, got none"))
        return None
    if name not in engine.resources:
        message = f"expected a resource, got {name[:100]!r}{did_you_mean(name, engine.resources)}"
        problems.append(Problem("resource", "UNKNOWN_CHOICE", message))
    return engine.resources.get(name)


def _rate(text: str, problems: list[Problem]) -> float:
    plain = text[:20]
    if plain == text and plain.isascii() and plain.replace(".", "", 1).isdigit() and Decimal(plain) <= 1:
        return float(plain)
    problems.append(Problem("maxErrorRate", "OUT_OF_RANGE", "expected a share from 0 to 1, such as 0.05"))
    return 1.0


def _media_type(call: Call) -> str:
    """The media type of the body, which is text in UTF-8 or packed text."""
    kinds = call.headers(b"content-type")
    kind = media_type_of(kinds[0]) if len(kinds) == 1 else ""
    if kind not in MEDIA_TYPES:
        raise UnsupportedMediaType(f"expected a file in UTF-8, of one of the media types {', '.join(MEDIA_TYPES)}")
    return kind


def _is_encoded(call: Call) -> bool:
    encodings = [each.strip().lower() for each in call.headers(b"content-encoding")]
    if any(each not in (b"gzip", b"identity") for each in encodings) or len(encodings) > 1:
        raise UnsupportedMediaType("expected Content-Encoding: gzip, or none")
    return encodings == [b"gzip"]


def _may_see(call: Call, resource: str) -> bool:
    return call.key is not None and any(call.key.allows(f"{resource}:{verb}") for verb in ("read", "write"))


def _check_may_see(call: Call, resource: str) -> None:
    if not _may_see(call, resource):
        raise Forbidden(f"This key does not allow {resource}:read; ask for a key with that scope.")


async def _check_may_see_rows(engine: Engine, call: Call, found: Import) -> None:
    """Raise Forbidden where a key may not read what others sent: rows hold whatever a record does."""
    scope = f"{found.resource}:read"
    allowed = call.key is not None and call.key.allows(scope)
    if not allowed and call.api_key_id != await imports.sent_by(engine.pool, found.id):
        raise Forbidden(f"This key does not allow {scope}, nor did it send this file; ask for a key with that scope.")


def _check_may_write(call: Call, resource: str) -> None:
    if call.key is None or not call.key.allows(f"{resource}:write"):
        raise Forbidden(f"This key does not allow {resource}:write; ask for a key with that scope.")
