"""A line of the administration's route table, and what its documents have in common."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import msgspec

from retailos.api.call import Endpoint, Operation
from retailos.keys import ADMIN

ROOT: Final = "/v2/admin"

#: The schemas of a moment, and an example of one.
WHEN: Final = MappingProxyType({"type": "string", "format": "date-time"})
WHEN_OR_NULL: Final = MappingProxyType({"type": ["string", "null"], "format": "date-time"})
AT: Final = "2020-03-25T13:41:30.709Z"


def lines(one: str, many: str) -> Callable[..., Operation]:
    """Give what makes the lines of a noun, which their answers call `one` of it, or `many`."""

    def line(
        method: str,
        path: str,
        endpoint: Endpoint,
        action: str,
        summary: str,
        *statuses: int,
        result: str,
        body: str | None = None,
        parameters: tuple[str, ...] = (),
    ) -> Operation:
        return Operation(
            method=method,
            path=ROOT + path,
            endpoint=endpoint,
            action=action,
            user_message=many if action.endswith("_GET_ALL") else one,
            scope=ADMIN,
            summary=summary,
            body=body,
            result=result,
            statuses=(*(statuses or (200,)), *((413, 415) if body else ())),
            parameters=parameters,
        )

    return line


def like(example: msgspec.Struct) -> dict[str, Any]:
    """An example as a schema holds it."""
    return {"examples": [msgspec.to_builtins(example)]}
