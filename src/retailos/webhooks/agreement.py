"""What was agreed with a receiver of batches: how its answer tells of each record whether it was taken."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from retailos.declare.field import Field
from retailos.declare.resource import Resource
from retailos.declare.texts import Choice
from retailos.webhooks.pointer import Pointer, Tokens, tokens

RESULTS: Final = "results"
STATUS: Final = "status"
MULTISTATUS: Final = "multistatus"
FAILURES: Final = "batchItemFailures"
ERRORS: Final = "errors"
FORMS: Final = (RESULTS, STATUS, MULTISTATUS, FAILURES, ERRORS)
_OF_FAILURES: Final = (FAILURES, ERRORS)
#: Bytes that an answer may have for each record beside what is kept of any: an id is some 40 of them, an error with a
#: code, a message and a field some 200, and not every record fails.
BYTES_PER_RECORD: Final = 512
#: The same where only failures are named.
BYTES_PER_RECORD_OF_FAILURES: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Where in an answer its list stands, and what an item of it says, for one resource."""

    #: Where the list may stand; the first place that holds one counts.
    lists: tuple[Tokens, ...]
    #: Where in an item the record is named.
    name: Tokens
    #: Where in an item its error or its status is.
    error: Tokens
    #: Records are named by their place in the batch, from 0, and not by an id.
    by_index: bool = False
    #: An item's `error` is an HTTP status.
    statuses: bool = False
    #: Only records that failed are named.
    failures_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """An agreement by its name, and the pointers that differ from what the name stands for."""

    form: str = RESULTS
    list_at: str | None = None
    id_at: str | None = None
    error_at: str | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Read it from a webhook's settings."""
        return cls(
            form=settings["batchAnswer"],
            list_at=settings["batchAnswerList"],
            id_at=settings["batchAnswerId"],
            error_at=settings["batchAnswerError"],
        )

    @property
    def bytes_per_record(self) -> int:
        """How many bytes more may be read of an answer for each record that it may tell of; 0: it tells of none."""
        if self.form == STATUS:
            return 0
        return BYTES_PER_RECORD_OF_FAILURES if self.form in _OF_FAILURES else BYTES_PER_RECORD

    def terms(self, resource: Resource) -> Terms | None:
        """The agreement's terms for a resource; None: the status of the answer alone counts."""
        if self.form == STATUS:
            return None
        lists, name, error = _places(self.form, resource)
        return Terms(
            lists=tuple(map(tokens, lists if self.list_at is None else (self.list_at,))),
            name=tokens(name if self.id_at is None else self.id_at),
            error=tokens(error if self.error_at is None else self.error_at),
            by_index=self.form == ERRORS,
            statuses=self.form == MULTISTATUS,
            failures_only=self.form in _OF_FAILURES,
        )


def _places(form: str, resource: Resource) -> tuple[tuple[str, ...], str, str]:
    """Where an agreement looks for the list, and within an item for the record's name and its error."""
    match form:
        case "batchItemFailures":
            return ("/batchItemFailures",), "/itemIdentifier", ""
        case "errors":
            return ("/errors", ""), "/index", "/error"
        case _:
            error = "/status" if form == MULTISTATUS else "/error"
            return ("/results", f"/{resource.plural}", ""), f"/{resource.external_id.name}", error


#: The words for it in a webhook.
FIELDS: Final = (
    Field(
        name="batchAnswer",
        kind=Choice(words=FORMS),
        default=RESULTS,
        nullable=False,
    ),
    Field(name="batchAnswerList", kind=Pointer()),
    Field(name="batchAnswerId", kind=Pointer(like=("/id",))),
    Field(name="batchAnswerError", kind=Pointer(like=("/error",))),
)
