"""Certificates for tests, made as they are needed: an authority, and what it signs."""

import datetime
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def pem(self) -> bytes:
        """The certificate, followed by its key without a password."""
        return self.certificate_pem + self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def authority(name: str = "Test authority") -> Identity:
    """An authority that signs itself."""
    return _make(name, None, ends=NOW + DAY)


def signed(by: Identity, name: str, *, ends: datetime.datetime = NOW + DAY) -> Identity:
    """A certificate for a host or a client of this name."""
    return _make(name, by, ends=ends)


def _make(name: str, by: Identity | None, *, ends: datetime.datetime) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 10 * DAY)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if by:
        builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(name)]), critical=False)
    return Identity(builder.sign(by.key if by else key, hashes.SHA256()), key)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def server_side(identity: Identity, directory: Path, *, clients_of: Identity | None = None) -> ssl.SSLContext:
    """A server's TLS; with `clients_of`, only clients that this authority signed are let in."""
    file = directory / f"{identity.certificate.serial_number}.pem"
    file.write_bytes(identity.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if clients_of:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients_of.certificate_pem.decode())
    return context
