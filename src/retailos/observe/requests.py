"""What is said of requests to the API: answered, or not understood."""

from dataclasses import dataclass
from typing import ClassVar

from retailos.observe.line import Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAnswered(Observation):
    """A request was answered; route is its template, so that no external id reaches the log."""

    frequent: ClassVar[bool] = True

    method: str
    route: str
    status: int
    milliseconds: float
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefusedByProtocol(Observation):
    """What came was not HTTP that the server understands, so no route has seen it."""

    frequent: ClassVar[bool] = True

    status: int
    reason: str
