"""HTTPS served directly: the certificate, read when the server starts and again whenever its files have changed."""

import ssl
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from retailos.errors import ConfigurationError
from retailos.observe import emit
from retailos.observe.process import CertificateRead, CertificateRefused
from retailos.settings import Settings

#: New connections look after the files so often; a renewal is thought of in days.
LOOK_SECONDS: Final = 1.0
#: What tells that a file is another: its inode, its size and when it was written.
_Stamp = tuple[tuple[int, int, int], ...]


class Certificate:
    """A server's certificate and key: `context` is given to the server, and each handshake gets the newest files.

    Files that can't be used are said so, and the certificate that was read before goes on.
    """

    def __init__(self, certificate: Path, key: Path | None) -> None:
        """Read the files; ConfigurationError says why they can't be used."""
        self._certificate, self._key = certificate, key
        self._stamp, self._looked = _stamp(certificate, key), time.monotonic()
        self._newest = self.context = read_certificate(certificate, key)
        self.context.sni_callback = self._shake_hands

    def _shake_hands(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Called at the beginning of every handshake, whether or not a name is asked for."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            self._look()
        connection.context = self._newest

    def _look(self) -> None:
        try:
            stamp = _stamp(self._certificate, self._key)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._newest = read_certificate(self._certificate, self._key)
        except ConfigurationError as error:
            emit(CertificateRefused(error=str(error)))
        else:
            emit(CertificateRead(certificate=str(self._certificate)))


def check_certificate(settings: Settings) -> None:
    """Raise ConfigurationError if HTTPS is asked for and can't be served."""
    if settings.tls_certificate:
        read_certificate(settings.tls_certificate, settings.tls_key)


def in_clear(settings: Settings) -> bool:
    """Whether others than this machine can call the API without TLS, and without a proxy that would have it."""
    if settings.tls_certificate or settings.trusted_proxies or settings.host == "localhost":
        return False
    try:
        return not ip_address(settings.host).is_loopback
    except ValueError:
        return True


def read_certificate(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """A context for TLS 1.2 or later with this certificate; ConfigurationError says why the files can't be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # A key with a password would be asked for on the terminal, where nobody sits.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        raise ConfigurationError(_refusal(certificate, key, error)) from error
    except OSError as error:
        raise ConfigurationError(_unreadable(certificate, key, error)) from error
    return context


def _refusal(certificate: Path, key: Path | None, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"The key {key or certificate} is not that of the certificate {certificate}; name the two that match."
    return (
        f"The certificate {certificate} and its key {key or 'in the same file'} can't be used "
        f"({error.reason or 'not understood'}); expected PEM files, the key without a password."
    )


def _unreadable(certificate: Path, key: Path | None, error: OSError) -> str:
    files = f"{certificate} or its key {key}" if key else f"{certificate}"
    return f"The certificate {files} can't be read: {error.strerror}; correct tls_certificate and tls_key."


def _stamp(certificate: Path, key: Path | None) -> _Stamp:
    try:
        found = [each.stat() for each in (certificate, key) if each]
    except OSError as error:
        raise ConfigurationError(_unreadable(certificate, key, error)) from error
    return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)


def valid_until(certificate: Path, key: Path | None) -> float:
    """The moment, in seconds since 1970, until which a certificate may be used.

    Raises ConfigurationError if it can't be, among other reasons because it has expired or is not valid yet.
    """
    ours = read_certificate(certificate, key)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.check_hostname = False
    # Trusted is what was read, so that only the certificate itself is judged, and not who has signed it.
    theirs.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    theirs.load_verify_locations(certificate)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = theirs.wrap_bio(down, up), ours.wrap_bio(up, down, server_side=True)
    try:
        for _ in range(3):
            for each in (client, server):
                _advance(each)
        told = client.getpeercert()
    except ssl.SSLCertVerificationError as error:
        raise ConfigurationError(f"The certificate {certificate} is refused: {error.verify_message}.") from error
    if not told:
        raise ConfigurationError(f"The certificate {certificate} could not be looked at; no handshake came about.")
    return float(ssl.cert_time_to_seconds(str(told["notAfter"])))


def _advance(side: ssl.SSLObject) -> None:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return
