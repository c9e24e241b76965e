"""What is signed is checked by everybody who knows Standard Webhooks, and by nobody who has another secret."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from retailos.errors import Problem
from retailos.exchanges.exchange import Request
from retailos.webhooks.hidden import HIDDEN, nothing_kept
from retailos.webhooks.signature import Signing, SigningSecrets, rotated, secret_problem, signed
from retailos.webhooks.signers import new_secret, public_key_of, scheme_of

BODY = '{"customer":{"lastName":"Groß","details":{"a": 1.0}}}'.encode()
REQUEST = Request(method="PUT", url="https://erp.example.com/x", body=BODY, message_id="3-0190c2a4-7")
GIVEN = "whsec_" + "A" * 43 + "="
ALONE = {"formerSecret": None, "formerUntil": None}


@pytest.fixture
def now() -> datetime:
    """The moment of the test; the public library takes nothing that is five minutes old."""
    return datetime.now(UTC)


def signing_of(settings: Any) -> Signing:
    """What these settings sign with."""
    signing = Signing.of(settings)
    assert signing is not None
    return signing


def checked(secret: str, request: Request) -> bool:
    """Whether the public library takes the request's signature for one of this secret."""
    try:
        Webhook(secret).verify(request.body, dict(request.headers))
    except WebhookVerificationError:
        return False
    return True


def test_a_signature_is_checked_with_the_public_library(now: datetime) -> None:
    """The exact body is signed with its id and moment; another secret, body, id or moment does not fit."""
    secret = new_secret()
    made = signed(REQUEST, signing_of({"secret": secret, **ALONE}), now)
    assert checked(secret, made)
    assert not checked(new_secret(), made)
    assert dict(made.headers)["webhook-id"] == "3-0190c2a4-7"
    for name, value in (("webhook-id", "3-0190c2a4-8"), ("webhook-timestamp", str(int(now.timestamp()) + 1))):
        changed = dict(made.headers) | {name: value}
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(BODY, changed)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", dict(made.headers))


def test_an_old_message_is_told_by_its_moment(now: datetime) -> None:
    """The moment is that of the sending, so that a receiver can refuse what somebody has kept and sends again."""
    secret = new_secret()
    signing = signing_of({"secret": secret, **ALONE})
    assert not checked(secret, signed(REQUEST, signing, now - timedelta(minutes=6)))


def test_two_secrets_sign_while_one_takes_the_others_place(now: datetime) -> None:
    """During the grace a receiver may know either secret; afterwards the new one alone, and never a third."""
    first, second, third = new_secret(), new_secret(), new_secret()
    settings = rotated({"secret": first, **ALONE}, second, 3600, now)
    signing = signing_of(settings)
    during = signed(REQUEST, signing, now)
    assert [checked(each, during) for each in (first, second, third)] == [True, True, False]
    after = signed(REQUEST, signing, now + timedelta(seconds=3601))
    assert dict(after.headers)["webhook-signature"].count("v1,") == 1
    again = signed(REQUEST, signing_of(rotated(settings, third, 3600, now)), now)
    assert [checked(each, again) for each in (first, second, third)] == [False, True, True]
    at_once = signed(REQUEST, signing_of(rotated(settings, third, 0, now)), now)
    assert [checked(each, at_once) for each in (first, second, third)] == [False, False, True]


def test_a_secret_in_others_writing_is_understood(now: datetime) -> None:
    """Base64 without its padding is the same secret."""
    secret = "whsec_" + base64.b64encode(bytes(range(25))).decode()
    made = signed(REQUEST, signing_of({"secret": secret.rstrip("="), **ALONE}), now)
    assert checked(secret, made)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("whsec_x", ("", "WRONG_TYPE")),
        ({}, ("/secret", "REQUIRED")),
        ({"secret": 1}, ("/secret", "WRONG_TYPE")),
        ({"secret": ""}, ("/secret", "INVALID_TEXT")),
        ({"secret": "s3cret"}, ("/secret", "INVALID_SECRET")),
        ({"secret": "whsec_" + "A" * 28}, ("/secret", "INVALID_SECRET")),
        ({"secret": "whsec_" + "A" * 100}, ("/secret", "INVALID_SECRET")),
        ({"secret": "whsec_" + "ä" * 32}, ("/secret", "INVALID_TEXT")),
        ({"secret": "whsec_" + "-" * 44}, ("/secret", "INVALID_SECRET")),
        ({"secret": GIVEN, "formerSecret": GIVEN}, ("/formerUntil", "REQUIRED")),
        ({"secret": GIVEN, "formerUntil": "soon"}, ("/formerUntil", "INVALID_TIMESTAMP")),
        ({"secret": GIVEN, "key": "x"}, ("/key", "UNKNOWN_FIELD")),
    ],
    ids=str,
)
def test_what_is_no_secret_is_refused(value: Any, expected: tuple[str, str]) -> None:
    """A secret is whsec_ and 24 to 64 bytes in base64."""
    problems: list[Problem] = []
    SigningSecrets().read(value, "", problems)
    assert expected in [(each.path, each.code) for each in problems]


def test_a_given_secret_is_looked_at_alone() -> None:
    """A rotation takes a secret of one's own, and no placeholder for one."""
    assert secret_problem(new_secret(), "/secret") is None
    assert secret_problem(HIDDEN, "/secret") == nothing_kept("/secret")
    wrong = secret_problem("whsec_short", "/secret")
    assert wrong is not None
    assert (wrong.path, wrong.code) == ("/secret", "INVALID_SECRET")


def test_a_key_pair_in_others_writing_is_understood(now: datetime) -> None:
    """A private key may have its public one behind it, which must be its own; either way the signature is the same."""
    seed = bytes(range(32))
    public = base64.b64decode((public_key_of(private(seed)) or "").removeprefix("whpk_"))
    assert public.hex() == "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    alone, behind = (
        signed(REQUEST, signing_of({"secret": private(each), **ALONE}), now) for each in (seed, seed + public)
    )
    assert alone == behind
    assert dict(alone.headers)["webhook-signature"].startswith("v1a,")
    assert [scheme_of(each) for each in (private(seed), GIVEN, None)] == ["v1a", "v1", "v1"]
    for wrong in (seed[1:], seed + public[::-1], b""):
        assert secret_problem(private(wrong), "/secret") is not None


def test_the_public_key_is_made_and_not_taken() -> None:
    """Whatever is sent as the public key, the one of the private key is shown."""
    problems: list[Problem] = []
    read = SigningSecrets().read({"secret": private(bytes(32)), "publicKey": "whpk_theirs"}, "", problems)
    assert (problems, read["publicKey"]) == ([], public_key_of(private(bytes(32))))
    assert SigningSecrets().read({"secret": GIVEN, "publicKey": "whpk_theirs"}, "", problems)["publicKey"] is None
    hidden = {**read, "secret": HIDDEN, "publicKey": "whpk_theirs"}
    assert SigningSecrets().restored(hidden, read, "", problems) == read


def private(raw: bytes) -> str:
    """A private key as it is written."""
    return "whsk_" + base64.b64encode(raw).decode()
