"""What the administration's requests and answers have in common: a body, an id, a page, who asks, what was made."""

from collections.abc import Sequence
from typing import Any

from retailos.api.admin.line import ROOT
from retailos.api.body import json_body
from retailos.api.call import Answer, Call, Engine
from retailos.api.endpoints import refuse_parameters
from retailos.api.envelope import encode
from retailos.errors import Problem, ResourceNotFound, ValidationFailed
from retailos.records import query
from retailos.records.body import decode
from retailos.stints.operation import By


async def body_of(engine: Engine, call: Call) -> Any:
    """What the body of a request says that takes no parameters; the operation checks what it means."""
    refuse_parameters(call)
    return decode(await json_body(call, engine.settings.body_limit_bytes))


def number_of(call: Call, noun: str) -> int:
    """The id in the URL of a `noun` that is numbered; ResourceNotFound where it is none."""
    text = call.path["id"]
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    raise ResourceNotFound(f"There is no such {noun}; GET {ROOT}/{noun}s lists them.")


def webhook_id_of(call: Call) -> int:
    """The webhook's id in the URL; ResourceNotFound where it is none."""
    return number_of(call, "webhook")


def by(call: Call) -> By:
    """Who asks for an operation: the key, in this request."""
    return By(request_id=call.request_id, api_key_id=call.api_key_id)


def page_of(call: Call) -> tuple[int, int]:
    """How many rows of a list are asked for, and behind how many, where nothing else can be asked."""
    given = query.parameters(call.query)
    query.refuse_unknown(given, ("limit", "offset"))
    problems: list[Problem] = []
    asked = query.span(given, problems)
    if problems:
        raise ValidationFailed(problems)
    return asked


def listed(rows: Sequence[Any]) -> Answer:
    """Answer with all that there are."""
    return Answer(encode({"count": len(rows), "rows": rows}))


def made(value: Any, path: str) -> Answer:
    """Answer that something was made, and where it is: its path within the administration."""
    return Answer(encode(value), status=201, headers={"Location": ROOT + path})
