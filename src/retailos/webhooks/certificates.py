"""Certificates of a webhook: the one that it shows its receiver (mTLS) with its key, and authorities to trust."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from typing import Any, Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from retailos.declare.field import Field
from retailos.declare.kind import expected
from retailos.errors import Problem
from retailos.webhooks.hidden import HIDDEN, nothing_kept

#: Characters of PEM; a chain of four RSA certificates is about 8,000.
PEM_MOST: Final = 64_000
#: Certificates of a chain, or authorities that are trusted.
CERTIFICATES_MOST: Final = 10
_CERTIFICATE, _KEY, _AUTHORITY = "clientCertificate", "clientKey", "certificateAuthority"

_PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Pem:
    """Text in PEM: one or more certificates, which everybody may see."""

    of: Literal["chain", "authorities"]
    sql_type: str = "text"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take certificates that can be read; a chain is in order, the issuer behind what it has issued."""
        if not _is_pem(value, at, problems):
            return value
        try:
            certificates = x509.load_pem_x509_certificates(value.encode())
        except ValueError:
            problems.append(Problem(at, "INVALID_CERTIFICATE", "expected certificates in PEM"))
            return value
        if len(certificates) > CERTIFICATES_MOST:
            problems.append(Problem(at, "TOO_MANY", f"expected at most {CERTIFICATES_MOST} certificates"))
        elif self.of == "chain" and not _in_order(certificates):
            message = "expected the webhook's own certificate first, and behind each the one that has issued it"
            problems.append(Problem(at, "INVALID_CHAIN", message))
        return value

    def parse(self, text: str) -> Any:
        """Not filtered by."""
        raise ValueError("expected no filter on certificates")

    def schema(self) -> dict[str, Any]:
        """A string of several lines."""
        return {"type": "string", "maxLength": PEM_MOST, "contentMediaType": "application/x-pem-file"}

    def column(self, text: str) -> str:
        """The text itself."""
        return text

    def sample(self, random: Random) -> None:
        """None: whatever stood here would have expired."""


@dataclass(frozen=True, slots=True)
class PrivateKeyPem:
    """A private key in PEM, never shown again."""

    sql_type: str = "text"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take a key without a password."""
        if value != HIDDEN and _is_pem(value, at, problems) and _loaded(value) is None:
            message = "expected a private key in PEM without a password: RSA, an elliptic curve's, or Ed25519"
            problems.append(Problem(at, "INVALID_KEY", message))
        return value

    def hidden(self, value: Any) -> str:
        """That there is one."""
        return HIDDEN

    def restored(self, value: Any, kept: Any, at: str, problems: list[Problem]) -> Any:
        """Put back the key that came hidden."""
        if value != HIDDEN:
            return value
        if kept in (None, HIDDEN):
            problems.append(nothing_kept(at))
            return value
        return kept

    def parse(self, text: str) -> Any:
        """Not filtered by."""
        raise ValueError("expected no filter on keys")

    def schema(self) -> dict[str, Any]:
        """A string of several lines."""
        return {"type": "string", "maxLength": PEM_MOST, "description": f"Shows as {HIDDEN}."}

    def column(self, text: str) -> str:
        """The text itself."""
        return text

    def sample(self, random: Random) -> None:
        """None: it would be somebody's."""


FIELDS: Final = (
    Field(name=_CERTIFICATE, kind=Pem("chain")),
    Field(name=_KEY, kind=PrivateKeyPem()),
    Field(name=_AUTHORITY, kind=Pem("authorities")),
)


def certificate_problems(settings: Mapping[str, Any], anew: Mapping[str, Any], now: datetime) -> Iterator[Problem]:
    """What is wrong with certificates that can be read: a key that is missing or another's, and those `anew` whose time
    is over or has not come. One that has expired since it was saved is no reason to refuse a change of something else.
    """
    chain, key = settings[_CERTIFICATE], settings[_KEY]
    if (chain is None) != (key is None):
        missing, given = (_KEY, _CERTIFICATE) if key is None else (_CERTIFICATE, _KEY)
        yield Problem(f"/{missing}", "REQUIRED", f"expected a value beside {given}")
    if chain and key and key != HIDDEN and not _fits(chain, key):
        yield Problem(f"/{_KEY}", "WRONG_KEY", f"expected the key of the first certificate of {_CERTIFICATE}")
    for name in (_CERTIFICATE, _AUTHORITY):
        for each in _loaded_chain(settings[name]) if name in anew else ():
            if each.not_valid_after_utc <= now:
                ended = f"{each.not_valid_after_utc:%Y-%m-%d}"
                yield Problem(f"/{name}", "EXPIRED", f"expected certificates that are valid; one ended on {ended}")
            elif each.not_valid_before_utc > now:
                begins = f"{each.not_valid_before_utc:%Y-%m-%d}"
                yield Problem(f"/{name}", "NOT_YET_VALID", f"expected certificates that are valid; one begins {begins}")


def expires_at(settings: Mapping[str, Any]) -> datetime | None:
    """When the first of a webhook's certificates ends, its own, its issuers' and the trusted ones; None without any."""
    found = [each for name in (_CERTIFICATE, _AUTHORITY) for each in _loaded_chain(settings.get(name))]
    return min((each.not_valid_after_utc.astimezone(UTC) for each in found), default=None)


def identity_pem(settings: Mapping[str, Any]) -> bytes | None:
    """The certificate's chain and its key as the transport takes them; they are in memory only."""
    if settings[_CERTIFICATE] is None:
        return None
    return f"{settings[_CERTIFICATE].strip()}\n{settings[_KEY].strip()}\n".encode()


def authorities(settings: Mapping[str, Any]) -> tuple[bytes, ...]:
    """The authorities to trust besides the usual ones, each in PEM."""
    return tuple(each.public_bytes(Encoding.PEM) for each in _loaded_chain(settings[_AUTHORITY]))


def _is_pem(value: Any, at: str, problems: list[Problem]) -> bool:
    if type(value) is not str:
        problems.append(expected("a string in PEM", value, at))
    elif len(value) > PEM_MOST:
        problems.append(Problem(at, "TOO_LONG", f"expected at most {PEM_MOST} characters, got {len(value)}"))
    elif not value.isascii() or "\0" in value:
        problems.append(Problem(at, "INVALID_CERTIFICATE", "expected text in PEM"))
    else:
        return True
    return False


def _loaded_chain(pem: str | None) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem.encode()) if pem else []


def _loaded(pem: str) -> _PrivateKey | None:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey) else None


def _in_order(chain: list[x509.Certificate]) -> bool:
    return all(_issued(by=by, each=each) for each, by in pairwise(chain))


def _issued(*, by: x509.Certificate, each: x509.Certificate) -> bool:
    try:
        each.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _fits(chain: str, pem: str) -> bool:
    key = _loaded(pem)
    encoding = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    public = _loaded_chain(chain)[0].public_key()
    return key is not None and key.public_key().public_bytes(*encoding) == public.public_bytes(*encoding)
