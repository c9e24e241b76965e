"""How a caller wants a write done: the query's parameters and the conditional and Prefer headers, checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from retailos.api.call import Call, Operation
from retailos.errors import BadRequest, Problem, ValidationFailed
from retailos.records import query
from retailos.records.body import Reading
from retailos.records.record import OnUnresolved

#: A list of entity tags, as RFC 9110 writes them; ours are the record's version.
_TAGS = re.compile(r'(W/)?"([^"]*)"')
_TAGS_WHOLE = re.compile(r'\s*(W/)?"[^"]*"(\s*,\s*(W/)?"[^"]*")*\s*\Z')
_VERSION = re.compile(r"[1-9][0-9]{0,9}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a caller asks for besides the record itself."""

    replace: bool = False
    ignore_unknown: bool = False
    dry_run: bool = False
    #: Versions of If-Match; an empty set is `*`: any, but there must be one.
    versions: frozenset[int] | None = None
    must_be_new: bool = False
    #: Show the record in each job.
    representation: bool = False
    on_unresolved: OnUnresolved = OnUnresolved.PARK
    #: Answer when it is accepted, and write it soon after.
    later: bool = False
    #: Of many records write all, or none.
    all_or_none: bool = False

    @property
    def conditional(self) -> bool:
        """Whether the record must be looked at before it is written."""
        return self.must_be_new or self.versions is not None

    def reading(self, *, partial: bool = False, merging: bool = False) -> Reading:
        """How the body is to be read."""
        return Reading(
            partial=partial,
            merging=merging,
            replace=self.replace,
            ignore_unknown=self.ignore_unknown,
            on_unresolved=self.on_unresolved,
        )


#: What most callers ask for.
NONE = Wishes()
RESPOND_ASYNC = "respond-async"
_SAID_IN = (b"if-match", b"if-none-match", b"prefer")
#: What says for which state, or how often, a request is to be done: the words for it among an operation's parameters,
#: and what is told to who sends it elsewhere.
_HEEDED: Mapping[bytes, tuple[frozenset[str], str]] = MappingProxyType(
    {
        b"if-match": (
            frozenset(("writing", "deleting", "merging")),
            "expected no If-Match here: it is for writing one record that is there, by its own URL",
        ),
        b"if-none-match": (
            frozenset(("writing",)),
            "expected no If-None-Match here: it makes a PUT of one record create only",
        ),
        b"idempotency-key": (
            frozenset(("once",)),
            "expected no Idempotency-Key here: this route keeps no answers; send the request without it",
        ),
    }
)


def unheeded(operation: Operation) -> Sequence[bytes]:
    """The headers that an operation has no meaning for, so that whoever sends one would rely on it in vain.

    What only reads may pass over them; a PUT, PATCH or DELETE that is sent again does no more than once, by itself.
    """
    if operation.method == "GET":
        return ()
    names = (name for name, (words, _) in _HEEDED.items() if words.isdisjoint(operation.parameters))
    return tuple(name for name in names if operation.method == "POST" or name != b"idempotency-key")


def refuse_unheeded(call: Call, names: Sequence[bytes]) -> None:
    """Refuse a call with one of these headers."""
    for name in names:
        if call.headers(name):
            raise BadRequest(_HEEDED[name][1])


def read_wishes(call: Call, known: tuple[str, ...]) -> Wishes:
    """Read a call's wishes; `known` are the parameters that its route has."""
    if not (call.query or any(call.headers(name) for name in _SAID_IN)):
        return NONE
    given = query.parameters(call.query)
    query.refuse_unknown(given, known)
    problems: list[Problem] = []
    mode = _choice(given.get("mode", "merge"), "mode", ("merge", "replace"), problems)
    unknown = _choice(given.get("unknownFields", "refuse"), "unknownFields", ("refuse", "ignore"), problems)
    policy = _choice(given.get("errorPolicy", "applyGood"), "errorPolicy", ("applyGood", "rejectEverything"), problems)
    preferred = preferences(call)
    wishes = Wishes(
        replace=mode == "replace",
        ignore_unknown=unknown == "ignore" and "handling=strict" not in preferred,
        dry_run=query.flag(given, "dryRun", False, problems),
        versions=_versions(call),
        must_be_new=_must_be_new(call),
        representation="return=representation" in preferred,
        on_unresolved=_on_unresolved(given, problems),
        later=RESPOND_ASYNC in preferred,
        all_or_none=policy == "rejectEverything",
    )
    if problems:
        raise ValidationFailed(problems)
    return wishes


def _on_unresolved(given: Mapping[str, str], problems: list[Problem]) -> OnUnresolved:
    words = tuple(OnUnresolved)
    text = _choice(given.get("onUnresolved", OnUnresolved.PARK), "onUnresolved", words, problems)
    return OnUnresolved(text) if text in words else OnUnresolved.PARK


def preferences(call: Call) -> frozenset[str]:
    """The preferences of Prefer (RFC 7240), in lower case; those that are not known are passed over."""
    text = b",".join(call.headers(b"prefer")).decode("latin-1").lower()
    return frozenset(each.strip().replace(" ", "") for each in text.split(","))


def tags(call: Call, name: bytes) -> list[str] | None:
    """The tags of a conditional header, `*` as it is; None where it was not sent."""
    given = call.headers(name)
    if not given:
        return None
    text = b",".join(given).decode("latin-1").strip()
    if text == "*":
        return ["*"]
    if not _TAGS_WHOLE.match(text):
        header = name.decode().title()
        raise BadRequest(f'expected {header} to hold the ETag of an answer, such as "3", or *')
    return [tag for _, tag in _TAGS.findall(text)]


def _versions(call: Call) -> frozenset[int] | None:
    given = tags(call, b"if-match")
    if given is None:
        return None
    # A tag that is none of ours matches no version, which is what it says.
    return frozenset() if given == ["*"] else frozenset(int(tag) if _VERSION.match(tag) else 0 for tag in given)


def _must_be_new(call: Call) -> bool:
    given = tags(call, b"if-none-match")
    if given is not None and given != ["*"]:
        raise BadRequest("expected If-None-Match: * on a write, which makes it create only")
    return given is not None


def _choice(text: str, name: str, words: tuple[str, ...], problems: list[Problem]) -> str:
    if text not in words:
        problems.append(Problem(name, "UNKNOWN_CHOICE", f"expected one of {', '.join(words)}"))
    return text
