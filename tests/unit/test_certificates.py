"""Certificates of a webhook are looked at when it is saved, so that no delivery is the first to find them wrong."""

from datetime import timedelta
from typing import Any

import pytest

from retailos.webhooks.certificates import authorities, expires_at, identity_pem
from tests.reliability.certificates import DAY, NOW, Identity, authority, signed
from tests.unit.test_webhook import LEAST, problems

CA = authority()
OURS = signed(CA, "retailos")
OTHER = signed(CA, "other")
EXPIRED = signed(CA, "old", ends=NOW - DAY)


def chain(*identities: Identity) -> str:
    """Their certificates in PEM, one behind the other."""
    return "".join(each.certificate_pem.decode() for each in identities)


def key(identity: Identity) -> str:
    """Its key in PEM."""
    return identity.pem.removeprefix(identity.certificate_pem).decode()


MUTUAL = {"clientCertificate": chain(OURS), "clientKey": key(OURS)}


@pytest.mark.parametrize(
    "fields",
    [
        MUTUAL,
        {"clientCertificate": chain(OURS, CA), "clientKey": key(OURS)},
        {"certificateAuthority": chain(CA)},
        {"certificateAuthority": chain(CA, authority("another"))},
        MUTUAL | {"certificateAuthority": chain(CA)},
    ],
)
def test_good_certificates_are_taken(fields: dict[str, str]) -> None:
    """A certificate with its key, issuers behind it, and authorities, each alone or together."""
    assert problems(LEAST | fields) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"clientCertificate": chain(OURS)}, ("/clientKey", "REQUIRED")),
        ({"clientKey": key(OURS)}, ("/clientCertificate", "REQUIRED")),
        (MUTUAL | {"clientKey": key(OTHER)}, ("/clientKey", "WRONG_KEY")),
        (MUTUAL | {"clientKey": chain(OURS)}, ("/clientKey", "INVALID_KEY")),
        (MUTUAL | {"clientKey": "x"}, ("/clientKey", "INVALID_KEY")),
        (MUTUAL | {"clientKey": 1}, ("/clientKey", "WRONG_TYPE")),
        (MUTUAL | {"clientCertificate": "x"}, ("/clientCertificate", "INVALID_CERTIFICATE")),
        (MUTUAL | {"clientCertificate": key(OURS)}, ("/clientCertificate", "INVALID_CERTIFICATE")),
        (MUTUAL | {"clientCertificate": chain(CA, OURS)}, ("/clientCertificate", "INVALID_CHAIN")),
        (MUTUAL | {"clientCertificate": chain(OURS, OTHER)}, ("/clientCertificate", "INVALID_CHAIN")),
        (MUTUAL | {"clientCertificate": "x" * 64_001}, ("/clientCertificate", "TOO_LONG")),
        ({"clientCertificate": chain(EXPIRED), "clientKey": key(EXPIRED)}, ("/clientCertificate", "EXPIRED")),
        ({"certificateAuthority": chain(EXPIRED)}, ("/certificateAuthority", "EXPIRED")),
        ({"certificateAuthority": chain(*[CA] * 11)}, ("/certificateAuthority", "TOO_MANY")),
        ({"certificateAuthority": "é"}, ("/certificateAuthority", "INVALID_CERTIFICATE")),
        ({"clientKey": "***", "clientCertificate": chain(OURS)}, ("/clientKey", "HIDDEN_VALUE")),
    ],
)
def test_certificates_that_do_not_fit_are_refused(fields: dict[str, Any], expected: tuple[str, str]) -> None:
    """What can't be read, belongs to another or is over is said with the field that it is in."""
    assert problems(LEAST | fields) == [expected]


def test_an_expired_certificate_keeps_nobody_from_changing_something_else() -> None:
    """A webhook whose certificate has ended can be paused, and given a new one."""
    old = LEAST | {"clientCertificate": chain(EXPIRED), "clientKey": key(EXPIRED)}
    kept = {**_defaults(), **old}
    assert problems({"active": False}, kept) == []
    assert problems(MUTUAL, kept) == []
    assert problems({"clientCertificate": chain(OURS)}, kept) == [("/clientKey", "WRONG_KEY")]


def test_the_first_to_end_counts() -> None:
    """A webhook's certificates end when the first of them does."""
    soon = signed(CA, "soon", ends=NOW + timedelta(hours=3))
    settings = {"clientCertificate": chain(soon), "clientKey": key(soon), "certificateAuthority": chain(CA)}
    assert expires_at(settings) == soon.certificate.not_valid_after_utc
    assert identity_pem(settings) == (chain(soon).strip() + "\n" + key(soon).strip() + "\n").encode()
    assert authorities(settings) == (CA.certificate_pem,)
    assert (expires_at(_defaults()), identity_pem(_defaults()), authorities(_defaults())) == (None, None, ())


def _defaults() -> dict[str, Any]:
    return {"clientCertificate": None, "clientKey": None, "certificateAuthority": None}
