"""What a webhook says, as options of a command: the same words for one that is added and one that is changed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import click
import msgspec

from retailos.webhooks.agreement import FORMS
from retailos.webhooks.webhook import SETTINGS

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_SECONDS: Final = "SECONDS"


@dataclass(frozen=True, slots=True)
class _Said:
    """One option: its name, what it means, and what holds where it is not said."""

    flag: str
    help: str
    default: str = ""
    type: Any = None
    metavar: str | None = None
    multiple: bool = False

    def option(self, *, adds: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """It as click takes it; the default is told where a webhook is added, since else what is absent is kept."""
        told = f"{self.help}  [default: {self.default}]" if adds and self.default else self.help
        given: dict[str, Any] = {"type": self.type, "metavar": self.metavar, "multiple": self.multiple, "help": told}
        # What is not said is to be told from a no.
        return click.option(self.flag, **given | ({} if self.multiple else {"default": None}))


def _word(flag: str, words: tuple[str, ...], help_: str, default: str) -> _Said:
    return _Said(flag, help_, default, click.Choice(words))


_OPTIONS: Final = (
    _word("--method", ("PUT", "POST", "PATCH"), "How to send.", "PUT"),
    _Said("--header", "Sent with each request; repeatable.", metavar="'NAME: VALUE'", multiple=True),
    _Said("--retry-limit", "Retries before a delivery counts as failed.", "5", int),
    _Said("--retry-delay", "Before the first retry.", "120", float, _SECONDS),
    _Said("--retry-backoff/--no-retry-backoff", "Double the delay each time.", "do"),
    _Said("--retry-delay-max", "What neither the doubling nor a receiver goes beyond.", "21600", float, _SECONDS),
    _word("--retry-on", ("any", "transient"), "Which failures to retry.", "any"),
    _Said("--timeout", "For one request, from end to end.", "30", float, _SECONDS),
    _Said("--connect-timeout", "For its connection, of that.", "5", float, _SECONDS),
    _Said("--concurrency", "Requests under way at once.", "16", int),
    _Said("--rate", "Requests in a second at the most; 0: any number.", "0", float),
    _Said("--requeue-every", "Requeue what failed and may pass so often; 0: never.", "0", float, _SECONDS),
    _Said("--requeue-on-recovery/--no-requeue-on-recovery", "Requeue it when the breaker closes, too.", "do"),
    _word("--breaker", ("on", "off"), "Hold while nothing gets through.", "on"),
    _Said("--breaker-failures", "Failures in a row that open the breaker.", "20", int),
    _Said("--breaker-probe", "From one probe to the next.", "15", float, _SECONDS),
    _word("--sends", ("latest", "every"), "The newest state, or each.", "latest"),
    _word("--on-exhausted", ("hold", "skip"), "Of every change.", "hold"),
    _Said("--where", "Only such records; a path twice: either value.", metavar="PATH=VALUE", multiple=True),
    _Said("--when-changed", "Only when this field changed; repeatable.", metavar="NAME", multiple=True),
    _Said("--suppress-echo", "Not what came with this key; repeatable.", metavar="KEY-ID", multiple=True),
    _word("--on-relation-change", ("ignore", "mark"), "Of what it shows.", "ignore"),
    _Said("--batch-size", "Records in one request, which needs a URL for all.", "1", int),
    _Said("--batch-bytes", "Bytes of one request's body at the most.", "10000000", int),
    _Said("--batch-wait", "Let a batch fill for so long.", "0", float, _SECONDS),
    _word("--batch-answer", FORMS, "How its answer is read.", "results"),
    _Said("--batch-answer-list", "Where in the answer the list of records is.", metavar="POINTER"),
    _Said("--batch-answer-id", "Where in an item of it the record's id is.", metavar="POINTER"),
    _Said("--batch-answer-error", "Where in an item of it the record's error is.", metavar="POINTER"),
    _Said("--field", "Send this field or relation; repeatable.", metavar="NAME", multiple=True),
    _word("--user-projection", ("full", "minimal"), "How much of a user.", "full"),
    _word("--on-delete", ("send", "delete"), "Send it, or an HTTP DELETE.", "send"),
    _Said("--credentials", "A JSON file: an API key, a name and password, or OAuth 2.", type=_FILE),
    _Said("--client-certificate", "A PEM file: what we show the receiver, its issuers behind it.", type=_FILE),
    _Said("--client-key", "A PEM file: the certificate's key, without a password.", type=_FILE),
    _Said("--certificate-authority", "A PEM file: whom to trust besides the usual authorities.", type=_FILE),
)
#: Options whose settings have another name.
_RENAMED: Final = MappingProxyType({"header": "headers", "field": "fields"})


def said(*, adds: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of a command that `adds` a webhook, or else changes one."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for each in reversed(_OPTIONS):
            command = each.option(adds=adds)(command)
        return command

    return decorate


#: What can be put back to what it is where nothing is said.
RESETTABLE: Final = tuple(each.flag.removeprefix("--").split("/")[0] for each in _OPTIONS)


def body_of(given: Mapping[str, Any], reset: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a command was told, as a request's body says it; click.UsageError where it can't be read."""
    body = {setting(name): _given(name, value) for name, value in given.items() if value not in (None, ())}
    return body | {name: SETTINGS[name].default for name in map(setting, reset)}


def setting(option: str) -> str:
    """The setting that an option says."""
    first, *rest = option.replace("-", "_").split("_")
    return _RENAMED.get(option, first + "".join(word.title() for word in rest))


def _given(name: str, value: Any) -> Any:
    """What an option says as a request's body says it: no number is a float, a file is what stands in it."""
    match value:
        case tuple() if name == "where":
            return _where(value)
        case tuple() if name == "header":
            return dict(map(_header, value))
        case tuple():
            return list(value)
        case float():
            return Decimal(str(value))
        case Path():
            return _content(value, is_json=name == "credentials")
        case _:
            return value


def _content(file: Path, *, is_json: bool) -> Any:
    try:
        text = file.read_text(encoding="utf-8")
        return msgspec.json.decode(text) if is_json else text
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise click.UsageError(f"{file}: expected {'JSON' if is_json else 'PEM'}.") from error


def _where(texts: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, list[str]] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"expected a filter such as territory.externalTerritoryId=UK, got {text!r}")
        found.setdefault(path, []).append(value)
    return {path: values if len(values) > 1 else values[0] for path, values in found.items()}


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise click.UsageError(f"expected a header such as 'Authorization: API_KEY …', got {text!r}")
    return name.strip(), value.strip()
