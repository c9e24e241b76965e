"""The settings of a deployment: read once, from the environment or one TOML file, checked whole, then passed down.

`RETAILOS_PORT=9000` and `port = 9000` are the same setting. What is nearer wins: the command line, the environment, the
file that `RETAILOS_CONFIG` names, the default. A secret is also read from a file: `RETAILOS_PEPPER_FILE=path`.
"""

import difflib
import inspect
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from retailos.cidr import Network, read_network
from retailos.errors import ConfigurationError

Seconds = Annotated[float, Meta(ge=0.1, le=3600)]
Bytes = Annotated[int, Meta(ge=1024, le=1 << 30)]
Connections = Annotated[int, Meta(ge=2, le=500)]
MailAddress = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}\Z")]
_KEYS: Final = r"^[\s,]*rek_[A-Za-z0-9_-]{43}([\s,]+rek_[A-Za-z0-9_-]{43})*[\s,]*\Z"


def _said(expected: str, *, secret: bool = False) -> Mapping[str, Any]:
    return MappingProxyType({"expected": expected, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a deployment decides; secrets are left out of its repr."""

    #: The PostgreSQL (15 or later) to use; without it one is embedded. It may name several hosts.
    database_url: Annotated[str, Meta(pattern=r"^postgres(ql)?://.")] | None = field(
        default=None, repr=False, metadata=_said("postgresql://user:password@host/name", secret=True)
    )
    #: The directory of the embedded database; not used where `database_url` is set.
    data_dir: Path | None = field(default=None, metadata=_said("a path"))
    #: The address that the server binds to; loopback, so that without TLS nobody else reaches it unless told.
    host: Annotated[str, Meta(min_length=1)] = field(default="127.0.0.1", metadata=_said("a name or an address"))
    #: The TCP port of the server; 0 takes a free one.
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    #: The certificate to serve HTTPS with, in PEM, the issuer's behind it. Without it the server speaks HTTP.
    tls_certificate: Path | None = field(default=None, metadata=_said("a path"))
    #: The certificate's key, in PEM and without a password; not needed where the certificate's file holds it too.
    tls_key: Path | None = field(default=None, metadata=_said("a path"))
    #: The networks of the proxies whose X-Forwarded-For tells where a request comes from; others' is not believed.
    #: `Forwarded` is not read at all.
    trusted_proxies: tuple[Network, ...] = field(
        default=(), metadata=_said("networks such as 10.0.0.0/8, separated by commas")
    )
    #: The networks that may call, whatever their key (`/health` aside); none: everybody may.
    caller_networks: tuple[Network, ...] = field(
        default=(), metadata=_said("networks such as 10.0.0.0/8, separated by commas")
    )
    #: Requests that each API key may make in a second, in the long run, at each API process; 0: any number.
    requests_per_second: Annotated[int, Meta(ge=0, le=1_000_000)] = 100
    #: Requests that each API key may make at once after a pause, at each API process.
    requests_burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 200
    #: Requests with a wrong or missing key, or from where it may not be used, that are answered in a minute, for each
    #: address and key id, at each API process; ten times as many for an address over all key ids; 0: any number.
    failures_per_minute: Annotated[int, Meta(ge=0, le=1_000_000)] = 30
    #: Goes into every API key (`rk_dev_…`), so that the key of one environment is refused by another.
    environment: Annotated[str, Meta(pattern=r"^[a-z0-9]{1,10}\Z")] = field(
        default="dev", metadata=_said("1 to 10 of a-z and 0-9")
    )
    #: Hashed with the secret of every API key, so that a stolen database opens nothing. Without it one is made and kept
    #: in the database, which protects less. Changing it revokes every key.
    pepper: Annotated[str, Meta(min_length=32)] | None = field(
        default=None, repr=False, metadata=_said("at least 32 characters", secret=True)
    )
    #: What secrets in the database are sealed with, such as the credentials of webhooks: the first key seals, each
    #: opens what it has sealed. An embedded database has a file of its own for them; with a PostgreSQL of yours and no
    #: key, no secret can be saved. `retailos secrets new-key` makes one. Whoever loses them must give each secret anew.
    encryption_keys: Annotated[str, Meta(pattern=_KEYS)] | None = field(
        default=None, repr=False, metadata=_said("keys such as rek_…, between commas, spaces or lines", secret=True)
    )
    #: Days before the end of a webhook's certificate from which on it is said, once a day and by the doctor.
    certificate_warning_days: Annotated[int, Meta(ge=1, le=365)] = 30
    #: The networks that webhooks may reach besides the public ones. To these http is allowed too, to others https only.
    allow_addresses: tuple[Network, ...] = field(
        default=(), metadata=_said("networks such as 10.0.0.0/8, separated by commas")
    )
    #: Seconds after which a silent worker counts as dead, and what it had claimed is owed again. Shorter finds a dead
    #: worker sooner; longer forgives a slow machine.
    lease_seconds: Annotated[float, Meta(ge=1, le=3600)] = 10.0
    #: Seconds after a webhook's timeout within which a request that got no answer may still be applied by its receiver;
    #: when they are over, a delivery that had such a request is sent once more, so that the newest state comes last.
    late_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 60.0
    #: Processes that share the port of the API, each as much work as one processor can do; 0 makes one for each
    #: processor, four at most. Only Linux deals the connections out among them.
    api_processes: Annotated[int, Meta(ge=0, le=64)] = 0
    #: Processes that deliver what is owed and do what else goes on behind an answer, each as much work as one processor
    #: can do; 0 makes one for each processor, two at most.
    worker_processes: Annotated[int, Meta(ge=0, le=64)] = 0
    #: Connections to the database of each API process; writes share statements, so more buys little.
    api_pool_size: Connections = 10
    #: Connections to the database of each worker; none is held while the network is waited for.
    worker_pool_size: Connections = 8
    #: Seconds after which the database gives up a statement of the API, so that one query can't stop the others.
    statement_timeout_seconds: Seconds = 5.0
    #: Bytes of the largest body with one record; a customer is about 2,000.
    body_limit_bytes: Bytes = 1 << 20
    #: Bytes of the largest body with many records; a thousand customers are about 2,000,000.
    bulk_body_limit_bytes: Bytes = 10 << 20
    #: Days for which changes are kept, today aside; a reader of the change feed that stays away for longer must load
    #: everything anew.
    change_retention_days: Annotated[int, Meta(ge=1, le=3650)] = 90
    #: Days for which attempts of deliveries are kept, today aside.
    attempt_retention_days: Annotated[int, Meta(ge=1, le=3650)] = 30
    #: Days for which the jobs of upserts are kept, today aside.
    job_retention_days: Annotated[int, Meta(ge=1, le=3650)] = 7
    #: Days for which the issues of reports are kept with their files, today aside.
    report_retention_days: Annotated[int, Meta(ge=1, le=3650)] = 30
    #: Days for which the statistics of deliveries are kept, today aside.
    statistics_retention_days: Annotated[int, Meta(ge=1, le=3650)] = 90
    #: Days for which the links in a report's mail are good; whoever has one has the file.
    report_link_days: Annotated[int, Meta(ge=1, le=3650)] = 7
    #: The URL under which others reach this API, for the links in mails.
    public_url: Annotated[str, Meta(pattern=r"^https?://[^/?#\s@]+(/[^?#\s]*)?\Z")] | None = field(
        default=None, metadata=_said("a URL such as https://retailos.example.com")
    )
    #: The server that mails are handed to; without one no report is mailed.
    smtp_host: Annotated[str, Meta(min_length=1)] | None = field(default=None, metadata=_said("a name or an address"))
    #: The TCP port of the mail server: 587 for `starttls`, 465 for `tls`, and 25 for `none`, as a rule.
    smtp_port: Annotated[int, Meta(ge=1, le=65535)] = 587
    #: How the connection to the mail server is secured; with `none` there is no login either.
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    #: The user that logs in to the mail server; without one nobody does.
    smtp_user: Annotated[str, Meta(min_length=1)] | None = field(default=None, metadata=_said("a name"))
    #: The password of that user.
    smtp_password: Annotated[str, Meta(min_length=1)] | None = field(
        default=None, repr=False, metadata=_said("a password", secret=True)
    )
    #: The authorities that the mail server's certificate must lead to, in PEM; without it those of the system.
    smtp_ca: Path | None = field(default=None, metadata=_said("a path"))
    #: The address that mails come from.
    mail_from: MailAddress | None = field(default=None, metadata=_said("an address such as retailos@example.com"))
    #: Streams of changes that each API process keeps open at once; each asks the database five times a second at most.
    stream_limit: Annotated[int, Meta(ge=1, le=10_000)] = 100
    #: Bytes of the largest file that can be imported, unpacked; it is kept in the database until it is applied.
    import_limit_bytes: Annotated[int, Meta(ge=1024, le=1 << 40)] = 10 << 30
    #: Days for which an import is kept after its end, with the rows that were refused.
    import_days: Annotated[int, Meta(ge=1, le=3650)] = 30
    #: Hours that an upsert waits for records that it refers to; then its job has failed, and can be requeued for as
    #: long as the job is kept, which is a day more at least.
    unresolved_hours: Annotated[float, Meta(ge=0.1, le=720)] = 48.0
    #: The least level that is logged.
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    #: Log a line for each request and each attempt; off, because at thousands a second the lines are most of the work.
    log_requests: bool = False

    @property
    def pepper_bytes(self) -> bytes | None:
        """The pepper as it goes into digests; None: the installation's own."""
        return self.pepper.encode() if self.pepper else None


def load(environ: Mapping[str, str], toml: Path | None = None, **overrides: object) -> Settings:
    """Read the settings; `toml` stands in for `RETAILOS_CONFIG`, an override that is None was not given.

    Raises ConfigurationError with every problem at once: unknown names, values out of range, files that can't be read.
    """
    problems: list[str] = []
    named = environ.get(f"{PREFIX}CONFIG")
    path = toml or (Path(named) if named else None)
    # An empty variable was not given: that is how compose files and unit files say nothing.
    variables = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and name != f"{PREFIX}CONFIG" and value
    }
    options = {name: value for name, value in overrides.items() if value is not None}
    given = (
        _known(_parsed(path, problems), lambda name: f"{name} in {path}", problems)
        | _known(variables, lambda name: PREFIX + name.upper(), problems)
        | _known(options, lambda name: f"--{name.replace('_', '-')}", problems)
    )
    values: dict[str, Any] = {name: _value(name, each, problems) for name, each in given.items()}
    if not problems:
        problems.extend(f"{_label(name, given)}: {said}" for name, said in _contradictions(Settings(**values)))
    if problems:
        raise ConfigurationError("The settings can't be used:\n" + "\n".join(f"  - {each}" for each in problems))
    return Settings(**values)


PREFIX: Final = "RETAILOS_"


def _contradictions(settings: Settings) -> Iterator[tuple[str, str]]:
    """Settings that do not go together, though each is right alone, and why."""
    if settings.tls_key and not settings.tls_certificate:
        yield "tls_key", "expected tls_certificate beside it; a key alone serves nobody."
    if settings.unresolved_hours > 24 * (settings.job_retention_days - 1):
        yield "unresolved_hours", "expected a day less than job_retention_days; what waits is kept as its job is."
    if settings.report_link_days > settings.report_retention_days:
        yield "report_link_days", "expected at most report_retention_days; a link leads to what is kept."
    if settings.smtp_host and not (settings.mail_from and settings.public_url):
        yield "smtp_host", "expected mail_from and public_url beside it; a mail comes from somebody and holds links."
    if settings.smtp_user and not settings.smtp_password:
        yield "smtp_user", "expected smtp_password beside it."
    if settings.smtp_user and settings.smtp_security == "none":
        yield "smtp_user", "expected smtp_security starttls or tls; a password is never sent in clear."


def _label(name: str, given: "Mapping[str, _Given]") -> str:
    return given[name].label if name in given else name


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as it came, and the name under which the operator knows it."""

    label: str
    value: object


def _parsed(path: Path | None, problems: list[str]) -> Mapping[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problems.append(f"{path}: expected a TOML file in UTF-8 that can be read, but: {_reason(error)}.")
        return {}


def _known(given: Mapping[str, object], label: Callable[[str], str], problems: list[str]) -> dict[str, _Given]:
    """Sort what one source gives by setting; a secret may come as the name of a file that holds it."""
    known: dict[str, _Given] = {}
    for written, value in given.items():
        name = written.removesuffix("_file") if written.removesuffix("_file") in _SECRETS else written
        if name not in _FIELDS:
            problems.append(f"{label(written)} is not a setting.{_suggestion(written, label)}")
        elif name in known:
            problems.append(f"{label(name)} and {label(name + '_file')} are both given; leave one of them out.")
        elif name == written:
            known[name] = _Given(label(written), value)
        else:
            known[name] = _Given(label(written), _secret(label(written), str(value), problems))
    return known


def _suggestion(written: str, label: Callable[[str], str]) -> str:
    near = difflib.get_close_matches(written, [*_FIELDS, *(f"{name}_file" for name in _SECRETS)], n=1)
    return f" Did you mean {label(near[0])}?" if near else " docs/settings.md lists them."


def _secret(label: str, path: str, problems: list[str]) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{label}: expected the path of a text file that can be read, but: {_reason(error)}.")
        return None


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _value(name: str, given: _Given, problems: list[str]) -> object:
    kind = _KINDS[name]
    try:
        if kind == tuple[Network, ...]:
            return _networks(given.value)
        if kind == Path | None:
            return Path(msgspec.convert(given.value, str)) if not isinstance(given.value, Path) else given.value
        return msgspec.convert(given.value, kind, strict=False)
    except (msgspec.ValidationError, ValueError, TypeError):
        shown = "a value that is not shown" if name in _SECRETS else repr(given.value)
        problems.append(f"{given.label}: expected {_expected(name)}, got {shown}.")
        return None


def _networks(value: object) -> tuple[Network, ...]:
    parts = value.split(",") if isinstance(value, str) else msgspec.convert(value, list[str])
    return tuple(read_network(part) for part in parts if part.strip())


def _expected(name: str) -> str:
    """Say in words what a setting takes."""
    if "expected" in _FIELDS[name].metadata:
        return str(_FIELDS[name].metadata["expected"])
    match msgspec.inspect.type_info(_KINDS[name]):
        case msgspec.inspect.IntType(ge=least, le=most):
            return f"a whole number from {least} to {most}"
        case msgspec.inspect.FloatType(ge=least, le=most):
            return f"a number from {least} to {most}"
        case msgspec.inspect.LiteralType():
            return "one of " + ", ".join(get_args(_KINDS[name]))
        case _:
            return "true or false"


_FIELDS: Final = MappingProxyType({each.name: each for each in fields(Settings)})
_KINDS: Final = MappingProxyType(get_type_hints(Settings, include_extras=True))
_SECRETS: Final = frozenset(name for name, each in _FIELDS.items() if each.metadata.get("secret"))


def reference() -> str:
    """Write the page of all settings, as Markdown; `make docs` puts it into docs/settings.md."""
    reasons = _reasons()
    rows = []
    for name, each in _FIELDS.items():
        variable = f"`{PREFIX}{name.upper()}`" + (f" or `{PREFIX}{name.upper()}_FILE`" if name in _SECRETS else "")
        default = "" if each.default in (None, ()) else f"`{msgspec.json.encode(each.default).decode().strip(chr(34))}`"
        rows.append(f"| `{name}` | {variable} | {_expected(name)} | {default} | {reasons[name]} |")
    return _PAGE + "\n".join(rows) + "\n"


def _reasons() -> dict[str, str]:
    """Read the `#:` lines above each field from this file, so that they are written once."""
    reasons: dict[str, str] = {}
    said: list[str] = []
    for line in map(str.strip, inspect.getsource(Settings).splitlines()):
        if line.startswith("#:"):
            said.append(line.removeprefix("#:").strip())
        elif said:
            reasons[line.partition(":")[0]] = " ".join(said)
            said = []
    return reasons


_PAGE: Final = """\
# Settings

Read once when a process starts: from the environment, or from the TOML file that `RETAILOS_CONFIG` names (its keys are
the names in the first column). The command line wins over the environment, the environment over the file. An unknown
name is an error, and so is a value that does not fit: the program says all that is wrong and does not start. An empty
variable counts as not given. A secret can be put into a file that the variable ending in `_FILE` names.

| setting | variable | takes | default | what for |
| --- | --- | --- | --- | --- |
"""
