"""Credentials become the headers that receivers and token hosts expect, and are refused where they can't."""

import base64
from typing import Any

import pytest

from retailos.resources import RESOURCES
from retailos.webhooks.body import read_webhook
from retailos.webhooks.credentials import client_credentials, headers_of
from tests.unit.test_webhook import LEAST, POLICY, problems

OAUTH = {"type": "oauth2", "tokenUrl": "https://login.example.com/token", "clientId": "a b", "clientSecret": "s:%"}


def read(credentials: Any) -> Any:
    """Credentials as they are stored."""
    values, wrong = read_webhook(RESOURCES, LEAST | {"credentials": credentials}, POLICY)
    assert wrong == []
    return values["credentials"]


@pytest.mark.parametrize(
    ("credentials", "header"),
    [
        ({"type": "apiKey", "key": "k"}, ("Authorization", "API_KEY k")),
        ({"type": "apiKey", "key": "k", "scheme": "Bearer"}, ("Authorization", "Bearer k")),
        ({"type": "apiKey", "key": "k", "header": "X-Api-Key", "scheme": ""}, ("X-Api-Key", "k")),
        (
            {"type": "basic", "user": "Jörg", "password": "a:b"},
            ("Authorization", "Basic " + base64.b64encode("Jörg:a:b".encode()).decode()),
        ),
    ],
)
def test_credentials_are_one_header(credentials: Any, header: tuple[str, str]) -> None:
    """An API key goes out under any name and scheme, the guide's by default; a name and password as RFC 7617 has it."""
    assert headers_of(read(credentials)) == (header,)
    assert client_credentials(read(credentials)) is None


def test_a_token_is_asked_for_as_the_standard_has_it() -> None:
    """The client says who it is in a header, encoded twice, or in the form; a scope and an audience go along."""
    in_header = client_credentials(read(OAUTH | {"scope": "a b"}))
    assert in_header is not None
    assert in_header.form == "grant_type=client_credentials&scope=a+b"
    assert in_header.headers == (("Authorization", "Basic " + base64.b64encode(b"a+b:s%3A%25").decode()),)
    in_form = client_credentials(read(OAUTH | {"authentication": "body", "audience": "x"}))
    assert in_form is not None
    assert in_form.form == "grant_type=client_credentials&audience=x&client_id=a+b&client_secret=s%3A%25"
    assert in_form.headers == ()
    assert headers_of(read(OAUTH)) == ()


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        ("x", ("/credentials", "WRONG_TYPE")),
        ({}, ("/credentials/type", "UNKNOWN_CHOICE")),
        ({"type": "digest"}, ("/credentials/type", "UNKNOWN_CHOICE")),
        ({"type": ["basic"]}, ("/credentials/type", "UNKNOWN_CHOICE")),
        ({"type": "apiKey"}, ("/credentials/key", "REQUIRED")),
        ({"type": "apiKey", "key": "a\nb"}, ("/credentials/key", "INVALID_TEXT")),
        ({"type": "apiKey", "key": "k", "header": "Host"}, ("/credentials/header", "RESERVED_HEADER")),
        ({"type": "apiKey", "key": "k", "header": "a b"}, ("/credentials/header", "INVALID_HEADER")),
        ({"type": "apiKey", "key": "k", "scheme": "é"}, ("/credentials/scheme", "INVALID_TEXT")),
        ({"type": "apiKey", "key": "k", "user": "x"}, ("/credentials/user", "UNKNOWN_FIELD")),
        ({"type": "apiKey", "key": "***"}, ("/credentials/key", "HIDDEN_VALUE")),
        ({"type": "basic", "user": "a:b", "password": "x"}, ("/credentials/user", "INVALID_TEXT")),
        ({"type": "basic", "user": "a"}, ("/credentials/password", "REQUIRED")),
        (OAUTH | {"tokenUrl": "http://93.184.215.14/x"}, ("/credentials/tokenUrl", "HTTPS_REQUIRED")),
        (OAUTH | {"tokenUrl": "https://169.254.169.254/x"}, ("/credentials/tokenUrl", "BLOCKED_ADDRESS")),
        (OAUTH | {"tokenUrl": "https://login.example.com/{id}"}, ("/credentials/tokenUrl", "INVALID_URL")),
        (OAUTH | {"authentication": "jwt"}, ("/credentials/authentication", "UNKNOWN_CHOICE")),
    ],
    ids=str,
)
def test_credentials_that_can_not_be_sent_are_refused(credentials: Any, expected: tuple[str, str]) -> None:
    """Each member is looked at where it stands."""
    assert expected in problems(LEAST | {"credentials": credentials})


def test_one_header_is_set_once() -> None:
    """Credentials do not stand beside a header of the same name, whatever its case."""
    headers = {"authorization": "x"}
    for credentials in ({"type": "basic", "user": "a", "password": "b"}, OAUTH, {"type": "apiKey", "key": "k"}):
        assert problems(LEAST | {"credentials": credentials, "headers": headers}) == [
            ("/credentials", "DUPLICATE_HEADER")
        ]
    free = {"type": "apiKey", "key": "k", "header": "X-Key"}
    assert problems(LEAST | {"credentials": free, "headers": headers}) == []


def test_a_hidden_secret_stands_for_the_one_of_the_same_type() -> None:
    """*** keeps the secret while other members change; credentials of another type need one of their own."""
    kept = read_webhook(RESOURCES, LEAST | {"credentials": {"type": "basic", "user": "a", "password": "b"}}, POLICY)[0]
    changed = {"credentials": {"type": "basic", "user": "c", "password": "***"}}
    values, wrong = read_webhook(RESOURCES, changed, POLICY, kept)
    assert (wrong, values["credentials"]) == ([], {"type": "basic", "user": "c", "password": "b"})
    assert problems({"credentials": {"type": "apiKey", "key": "***"}}, kept) == [("/credentials/key", "HIDDEN_VALUE")]
