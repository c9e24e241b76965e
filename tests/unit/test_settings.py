"""The settings are read whole, and whoever mistypes one is told all that is wrong at once."""

import ipaddress
from pathlib import Path

import pytest

from retailos.errors import ConfigurationError
from retailos.settings import Settings, load

PEPPER = "a made-up pepper of 32 characters"


def problems(environ: dict[str, str], toml: Path | None = None, **overrides: object) -> list[str]:
    """Give the problems that are told for these settings, one each."""
    with pytest.raises(ConfigurationError) as caught:
        load(environ, toml, **overrides)
    return [line.removeprefix("  - ") for line in str(caught.value).splitlines()[1:]]


def test_nothing_needs_to_be_set() -> None:
    """A machine where nothing is set serves on loopback, with an embedded database."""
    settings = load({"PATH": "/bin", "HOME": "/"})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.database_url) == ("127.0.0.1", 8080, None)


def test_every_kind_of_value_is_read_from_the_environment() -> None:
    """Numbers, words, truth, networks and paths come from the environment as text."""
    settings = load(
        {
            "RETAILOS_DATABASE_URL": "postgres://one:5432,two:5432/retail",
            "RETAILOS_DATA_DIR": "somewhere",
            "RETAILOS_PORT": "0",
            "RETAILOS_LEASE_SECONDS": "2.5",
            "RETAILOS_LOG_REQUESTS": "true",
            "RETAILOS_ALLOW_ADDRESSES": "::ffff:127.0.0.0/104, ::1",
        }
    )
    assert settings.database_url == "postgres://one:5432,two:5432/retail"
    assert settings.data_dir == Path("somewhere")
    assert (settings.port, settings.lease_seconds, settings.log_requests) == (0, 2.5, True)
    assert settings.allow_addresses == (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    """What is nearer to the person wins, setting by setting."""
    file = tmp_path / "retailos.toml"
    file.write_text('port = 1\nhost = "0.0.0.0"\nenvironment = "live"\nallow_addresses = ["10.0.0.0/8"]\n')
    environ = {"RETAILOS_CONFIG": str(file), "RETAILOS_PORT": "2", "RETAILOS_HOST": "::1"}
    settings = load(environ, port=3, host=None)
    assert (settings.port, settings.host, settings.environment) == (3, "::1", "live")
    assert settings.allow_addresses == (ipaddress.ip_network("10.0.0.0/8"),)


def test_an_empty_variable_was_not_given() -> None:
    """A variable that a compose file leaves empty changes nothing."""
    assert load({"RETAILOS_DATABASE_URL": "", "RETAILOS_PORT": ""}) == Settings()


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """A deployment with many mistakes is told all of them in one start."""
    file = tmp_path / "retailos.toml"
    file.write_text('hots = "x"\nport = "eighty"\n')
    told = problems({"RETAILOS_LOG_LEVEL": "loud", "RETAILOS_PROT": "1"}, file, lease_seconds=0)
    assert told == [
        f"hots in {file} is not a setting. Did you mean host in {file}?",
        "RETAILOS_PROT is not a setting. Did you mean RETAILOS_PORT?",
        f"port in {file}: expected a whole number from 0 to 65535, got 'eighty'.",
        "RETAILOS_LOG_LEVEL: expected one of debug, info, warning, error, got 'loud'.",
        "--lease-seconds: expected a number from 1 to 3600, got 0.",
    ]


def test_a_name_that_resembles_nothing_is_sent_to_the_list() -> None:
    """An unknown name without a neighbour says where the names are."""
    assert problems({"RETAILOS_ZZZ": "1"}) == ["RETAILOS_ZZZ is not a setting. docs/settings.md lists them."]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "-1"),
        ("PORT", "65536"),
        ("PORT", "1.5"),
        ("LEASE_SECONDS", "0.9"),
        ("LEASE_SECONDS", "3601"),
        ("LEASE_SECONDS", "nan"),
        ("STATEMENT_TIMEOUT_SECONDS", "0"),
        ("STATEMENT_TIMEOUT_SECONDS", "inf"),
        ("API_POOL_SIZE", "1"),
        ("WORKER_POOL_SIZE", "501"),
        ("BODY_LIMIT_BYTES", "1023"),
        ("BULK_BODY_LIMIT_BYTES", str((1 << 30) + 1)),
        ("ENVIRONMENT", "Live"),
        ("ENVIRONMENT", "abcdefghijk"),
        ("ENVIRONMENT", "dev\n"),
        ("LOG_REQUESTS", "maybe"),
        ("ALLOW_ADDRESSES", "10.0.0.1/8"),
        ("ALLOW_ADDRESSES", "127.0.0.0/8;::1"),
        ("CALLER_NETWORKS", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "proxy"),
        ("REQUESTS_PER_SECOND", "-1"),
        ("REQUESTS_PER_SECOND", "1000001"),
        ("REQUESTS_BURST", "0"),
        ("REQUESTS_BURST", "1000001"),
        ("FAILURES_PER_MINUTE", "-1"),
        ("FAILURES_PER_MINUTE", "1000001"),
    ],
)
def test_one_beyond_a_limit_is_refused(name: str, value: str) -> None:
    """A value outside what the setting takes is refused, with what it takes and what came."""
    [told] = problems({f"RETAILOS_{name}": value})
    assert told.startswith(f"RETAILOS_{name}: expected ")
    assert told.endswith(f"got {value!r}.")


def test_a_key_without_its_certificate_is_refused(tmp_path: Path) -> None:
    """Whoever names a key for HTTPS names its certificate too, wherever he does so."""
    file = tmp_path / "retailos.toml"
    file.write_text('tls_certificate = "tls.crt"')
    told = problems({"RETAILOS_TLS_KEY": "tls.key"})
    assert told == ["RETAILOS_TLS_KEY: expected tls_certificate beside it; a key alone serves nobody."]
    both = load({"RETAILOS_TLS_KEY": "tls.key"}, file)
    assert (both.tls_certificate, both.tls_key) == (Path("tls.crt"), Path("tls.key"))


def test_an_upsert_waits_no_longer_than_its_job_is_kept() -> None:
    """What waits for other records has a job that tells of it, until a day after it was given up at the least."""
    told = problems({"RETAILOS_UNRESOLVED_HOURS": "145"})
    assert told == [
        "RETAILOS_UNRESOLVED_HOURS: expected a day less than job_retention_days; what waits is kept as its job is."
    ]
    assert load({"RETAILOS_UNRESOLVED_HOURS": "145", "RETAILOS_JOB_RETENTION_DAYS": "8"}).unresolved_hours == 145


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    """A secret is read from the file that the variable names, without the newline that editors add."""
    file = tmp_path / "pepper"
    file.write_text(PEPPER + "\n")
    assert load({"RETAILOS_PEPPER_FILE": str(file)}).pepper == PEPPER


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    """Nobody has to guess whether the secret or its file wins."""
    told = problems({"RETAILOS_PEPPER": PEPPER, "RETAILOS_PEPPER_FILE": str(tmp_path / "pepper")})
    assert told == ["RETAILOS_PEPPER and RETAILOS_PEPPER_FILE are both given; leave one of them out."]


def test_only_a_secret_has_a_file() -> None:
    """A setting that is no secret has no form with a file."""
    assert problems({"RETAILOS_PORT_FILE": "x"})[0].startswith("RETAILOS_PORT_FILE is not a setting.")


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """A missing secret file and a broken TOML file are told by name and reason."""
    broken = tmp_path / "retailos.toml"
    broken.write_text("port = = 1")
    missing = tmp_path / "missing"
    told = problems({"RETAILOS_PEPPER_FILE": str(missing)}, broken)
    assert told[0].startswith(f"{broken}: expected a TOML file in UTF-8 that can be read, but: ")
    assert told[1].startswith(
        "RETAILOS_PEPPER_FILE: expected the path of a text file that can be read, but: No such file"
    )


@pytest.mark.parametrize(
    "environ", [{"RETAILOS_PEPPER": "hunter2"}, {"RETAILOS_DATABASE_URL": "mysql://u:hunter2@h/d"}]
)
def test_a_refused_secret_is_not_shown(environ: dict[str, str]) -> None:
    """The message about a secret that does not fit leaves the secret out."""
    [told] = problems(environ)
    assert "hunter2" not in told
    assert told.endswith("got a value that is not shown.")


def test_secrets_are_not_in_the_repr() -> None:
    """Settings can be printed without giving a secret away."""
    shown = repr(load({"RETAILOS_PEPPER": PEPPER, "RETAILOS_DATABASE_URL": "postgresql://u:hunter2@h/d"}))
    assert PEPPER not in shown
    assert "hunter2" not in shown
