"""An nginx that lets in only clients whose certificate its authority has signed, as receivers have it."""

import asyncio
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from retailos.exchanges.exchange import ErrorClass
from retailos.exchanges.transport import Transport
from tests.child import spawn
from tests.conftest import eventually, free_port
from tests.contract.conftest import Api
from tests.contract.delivering import settled, working
from tests.contract.test_credentials import mutual
from tests.reliability.certificates import DAY, NOW, Identity, authority, signed
from tests.reliability.outbound import LOOPBACK, put

#: Where Debian has it, which is on no path but root's.
NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
CONFIGURATION = """\
daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen 127.0.0.1:PORT ssl;
        ssl_certificate server.pem;
        ssl_certificate_key server.pem;
        ssl_client_certificate clients.pem;
        ssl_verify_client on;
        location / {
            default_type application/json;
            return 200 '{"customerId": "$ssl_client_s_dn"}';
        }
    }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nginx:
    """A running nginx, the authority of its own certificate, and the one of its clients'."""

    url: str
    ca: Identity
    clients: Identity

    def transport(self, client: Identity | None, *, ca: Identity | None = None) -> Transport:
        """A transport that shows this certificate, and trusts nginx's authority or another."""
        trusted = (ca or self.ca).certificate_pem
        return Transport(LOOPBACK, identity_pem=client.pem if client else None, authorities=[trusted])


@pytest.fixture(scope="module")
async def nginx(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nginx]:
    """An nginx at a free port."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    directory, port = tmp_path_factory.mktemp("nginx"), free_port()
    ca, clients = authority("Servers"), authority("Clients")
    (directory / "server.pem").write_bytes(signed(ca, "127.0.0.1").pem)
    (directory / "clients.pem").write_bytes(clients.certificate_pem)
    (directory / "nginx.conf").write_text(CONFIGURATION.replace("PORT", str(port)))
    process = await spawn(*(NGINX, "-p", directory, "-c", "nginx.conf"), stdout=DEVNULL, stderr=PIPE)
    try:
        assert await eventually(lambda: _listens(port))
        yield Nginx(url=f"https://127.0.0.1:{port}", ca=ca, clients=clients)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_nginx_lets_a_webhook_in_by_its_certificate(api: Api, nginx: Nginx) -> None:
    """A webhook with certificate, key and authority delivers, and its receiver knows who it is."""
    body: dict[str, Any] = {
        "name": "nginx",
        "resource": "customer",
        "url": f"{nginx.url}/customer/{{externalCustomerId}}",
        "certificateAuthority": nginx.ca.certificate_pem.decode(),
    }
    client = mutual(signed(nginx.clients, "retailos"))
    made = (await api.admin("POST", "/webhooks", json=body | client)).result["id"]
    async with working(api):
        await api.put("/customers/c", {"firstName": "A"})
        shown = await settled(api, made, "c")
    assert shown["attemptHistory"][0]["responseBody"] == {"customerId": "CN=retailos"}


@pytest.mark.parametrize("wrong", ["no certificate", "an expired one", "one of another authority"])
async def test_nginx_refuses_who_has_no_good_certificate(nginx: Nginx, wrong: str) -> None:
    """Without a certificate of its authority that is valid, nginx answers 400, and the attempt keeps what it says."""
    identities = {
        "no certificate": None,
        "an expired one": signed(nginx.clients, "retailos", ends=NOW - DAY),
        "one of another authority": signed(authority("Others"), "retailos"),
    }
    reply = await nginx.transport(identities[wrong]).send(put(nginx.url))
    assert reply.status == 400
    assert b"SSL certificate" in reply.body


async def test_an_nginx_of_another_authority_is_not_sent_to(nginx: Nginx) -> None:
    """A server that the webhook's authority has not signed gets nothing, whatever certificate we have for it."""
    client = signed(nginx.clients, "retailos")
    reply = await nginx.transport(client, ca=authority("Servers")).send(put(nginx.url))
    assert (reply.error, reply.sent) == (ErrorClass.TLS_ERROR, False)
