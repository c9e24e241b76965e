"""HTTPS served directly: with the certificate of the settings, and with the one that has taken its place since."""

import asyncio
import os
import re
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509

from retailos.api.tls import in_clear, read_certificate, valid_until
from retailos.errors import ConfigurationError
from retailos.settings import load
from tests.acceptance.program import Running, ran, started
from tests.conftest import PATIENCE_SECONDS, eventually
from tests.reliability.certificates import DAY, NOW, Identity, authority, signed

NAME = "api.example.com"
ASK = f"GET /health/live HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()


@pytest.fixture(scope="module")
def ours() -> Identity:
    """The authority that our certificates are signed by."""
    return authority()


def put(directory: Path, identity: Identity, *, key_of: Identity | None = None) -> tuple[Path, Path]:
    """Write a certificate and its key, or another's, as a renewal does: each file takes its place whole."""
    key = (key_of or identity).pem.removeprefix((key_of or identity).certificate_pem)
    for name, content in (("tls.crt", identity.certificate_pem), ("tls.key", key)):
        (directory / f"{name}.new").write_bytes(content)
        os.replace(directory / f"{name}.new", directory / name)
    return directory / "tls.crt", directory / "tls.key"


def secured(database: str, certificate: Path, key: Path) -> dict[str, Any]:
    """Settings to serve HTTPS with."""
    return {"database_url": database, "tls_certificate": str(certificate), "tls_key": str(key), "api_processes": "1"}


def trusting(identity: Identity) -> ssl.SSLContext:
    """A client that trusts this authority, and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=identity.certificate_pem.decode())
    return context


class Line:
    """A connection of a client, with TLS or without."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext | None) -> "Line":
        """Connect, and shake hands."""
        name = NAME if context else None
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name))

    async def ask(self) -> bytes:
        """Send a request, and give the head of the answer once all of it is here."""
        self._writer.write(ASK)
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            await self._reader.readexactly(int(length[1]) if length else 0)
            return head

    async def ask_in_vain(self) -> bytes:
        """Send a request, and give what is said, an alert or nothing, until the other side hangs up."""
        self._writer.write(ASK)
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                return await self._reader.read(-1)
            except ConnectionResetError:
                return b""

    @property
    def certificate(self) -> x509.Certificate:
        """What the server showed."""
        shown = self._writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(shown)

    @property
    def version(self) -> str:
        """The version of TLS that was agreed on."""
        return str(self._writer.get_extra_info("ssl_object").version())

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def port_of(running: Running) -> int:
    """Where it serves, with TLS."""
    address = urlsplit((await running.observes("Started"))["address"])
    assert address.scheme == "https"
    return address.port or 0


async def test_a_renewed_certificate_is_served_without_a_restart(tmp_path: Path, ours: Identity, database: str) -> None:
    """HTTPS is served with the certificate of the settings, and with its successor as soon as both files fit."""
    first, second, client = signed(ours, NAME), signed(ours, NAME), trusting(ours)
    certificate, key = put(tmp_path, first)
    settings = secured(database, certificate, key)
    async with started("serve", "--api", "--port", "0", **settings) as running:
        port = await port_of(running)

        async def shown() -> x509.Certificate:
            line = await Line.open(port, client)
            line.close()
            return line.certificate

        line = await Line.open(port, client)
        assert (await line.ask()).startswith(b"HTTP/1.1 200")
        assert (line.certificate, line.version) == (first.certificate, "TLSv1.3")

        async def refused() -> bool:
            return await shown() == first.certificate and "CertificateRefused" in running.err

        put(tmp_path, second, key_of=first)
        await eventually(refused)
        put(tmp_path, second)

        async def renewed() -> bool:
            return await shown() == second.certificate

        await eventually(renewed)
        assert (await running.observes("CertificateRead"))["certificate"] == str(certificate)
        assert "match" in (await running.observes("CertificateRefused"))["error"]
        assert (await line.ask()).startswith(b"HTTP/1.1 200")
        line.close()
        await _check_strangers(port, client)


async def _check_strangers(port: int, client: ssl.SSLContext) -> None:
    """See that nothing is said to who speaks an older TLS or none, or who does not trust the authority."""
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    line = await Line.open(port, client)
    assert line.version == "TLSv1.2"
    line.close()
    old = trusting(authority("Another authority"))
    with pytest.raises(ssl.SSLCertVerificationError):
        await Line.open(port, old)
    with pytest.deprecated_call():
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await Line.open(port, old)
    plain = await Line.open(port, None)
    assert not (await plain.ask_in_vain()).startswith(b"HTTP")
    plain.close()


async def test_the_doctor_looks_at_the_certificate(tmp_path: Path, ours: Identity, database: str) -> None:
    """The doctor says until when the certificate is valid, and what is wrong where it soon is not, or does not fit."""
    identity = signed(ours, NAME, ends=NOW + 60 * DAY)
    certificate, key = put(tmp_path, identity)
    settings = secured(database, certificate, key)
    good = await ran("doctor", **settings)
    assert good.code == 0, good.out
    assert f"✓ certificate  {certificate} is valid until {NOW + 60 * DAY:%Y-%m-%d}" in good.out
    put(tmp_path, signed(ours, NAME, ends=NOW + 13 * DAY))
    soon = await ran("doctor", **settings)
    assert (soon.code, "renew it" in soon.out) == (1, True)
    put(tmp_path, identity, key_of=ours)
    wrong = await ran("doctor", **settings)
    assert (wrong.code, f"✗ certificate  The key {key} is not that of" in wrong.out) == (1, True)
    assert "✓ database" in wrong.out
    refused = await ran("serve", "--api", "--port", "0", **settings)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert refused.err.startswith(f"Error: The key {key} is not that of the certificate")


def test_a_certificate_is_judged_before_it_is_used(tmp_path: Path, ours: Identity) -> None:
    """What is wrong with a certificate or its key is said with the names of the files, and what was expected."""
    good = signed(ours, NAME, ends=NOW + timedelta(hours=9))
    certificate, key = put(tmp_path, good)
    assert valid_until(certificate, key) == int((NOW + timedelta(hours=9)).timestamp())
    both = tmp_path / "both.pem"
    both.write_bytes(good.pem + ours.certificate_pem)
    assert valid_until(both, None) == valid_until(certificate, key)
    for wrong, said in (
        ((tmp_path / "no.crt", key), "No such file"),
        ((certificate, tmp_path / "no.key"), "No such file"),
        ((certificate, None), "expected PEM files"),
        ((key, key), "expected PEM files"),
        ((tmp_path, key), "tls_certificate"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            read_certificate(*wrong)
    put(tmp_path, signed(ours, NAME, ends=NOW - DAY))
    with pytest.raises(ConfigurationError, match="certificate has expired"):
        valid_until(certificate, key)


@pytest.mark.parametrize(
    ("settings", "clear"),
    [
        ({}, False),
        ({"RETAILOS_HOST": "::1"}, False),
        ({"RETAILOS_HOST": "localhost"}, False),
        ({"RETAILOS_HOST": "127.9.9.9"}, False),
        ({"RETAILOS_HOST": "192.0.2.1"}, True),
        ({"RETAILOS_HOST": "::"}, True),
        ({"RETAILOS_HOST": "api.example.com"}, True),
        ({"RETAILOS_HOST": "192.0.2.1", "RETAILOS_TLS_CERTIFICATE": "tls.pem"}, False),
        ({"RETAILOS_HOST": "192.0.2.1", "RETAILOS_TRUSTED_PROXIES": "10.0.0.0/8"}, False),
    ],
)
def test_who_serves_in_clear_is_told_so(settings: dict[str, str], clear: bool) -> None:
    """Beyond this machine, keys should not go without TLS, unless a proxy has it."""
    assert in_clear(load(settings)) is clear


async def test_serving_in_clear_is_said_once(database: str) -> None:
    """A server that is told to listen beyond loopback without TLS does, and warns."""
    # A name of this machine that nobody knows for one.
    async with started("serve", "--api", "--port", "0", "--host", "127.1", database_url=database) as running:
        said = await running.observes("ServedInClear")
        assert (said["level"], said["address"].startswith("http://127.1:")) == ("warning", True)
