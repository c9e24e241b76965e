"""A receiver knows that it is we who send: by a header, a password, a token, a signature or a certificate."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

from retailos import operations
from retailos.database.pool import Connection
from retailos.observe import configure
from retailos.observe.deliveries import CertificateExpiring
from retailos.receiver import Behaviour, Received, Receiver
from tests.conftest import eventually
from tests.contract.conftest import Api, check_envelope, codes
from tests.contract.delivering import settled, webhook, working
from tests.reliability.certificates import DAY, NOW, Identity, authority, server_side, signed

HOST = "127.0.0.1"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that takes everything."""
    async with Receiver.listen() as receiver:
        yield receiver


class TokenHost:
    """A token host and the receiver that asks for its tokens, which can be called back."""

    def __init__(self) -> None:
        self.issued: list[str] = []
        self.recalled: set[str] = set()
        self.expires_in: Any = 3600
        self.broken = False

    def token(self, received: Received) -> Behaviour:
        """Give a token."""
        if self.broken:
            return Behaviour(status=503, body=b"a secret of theirs")
        self.issued.append(f"token-{len(self.issued) + 1}")
        answer = {"access_token": self.issued[-1], "token_type": "bearer", "expires_in": self.expires_in}
        return Behaviour(body=msgspec.json.encode(answer))

    def answer(self, received: Received) -> Behaviour:
        """Let those in who have a token that holds."""
        token = (received.header("Authorization") or "").removeprefix("Bearer ")
        return Behaviour(status=200 if token in self.issued and token not in self.recalled else 401)


@pytest.mark.parametrize(
    ("credentials", "header", "value"),
    [
        ({"type": "apiKey", "key": "their-key"}, "Authorization", "API_KEY their-key"),
        ({"type": "apiKey", "key": "k", "header": "X-Api-Key", "scheme": ""}, "X-Api-Key", "k"),
        ({"type": "basic", "user": "us", "password": "s3cret"}, "Authorization", "Basic dXM6czNjcmV0"),
    ],
)
async def test_credentials_go_out_with_each_request(
    api: Api, receiver: Receiver, credentials: dict[str, str], header: str, value: str
) -> None:
    """An API key and a name with its password arrive in their header, beside what else the webhook sends."""
    made = await webhook(api, receiver, credentials=credentials, headers={"X-Team": "erp"})
    async with working(api):
        await api.put("/customers/c", {"firstName": "A"})
        await settled(api, made, "c")
    [received] = receiver.received
    assert (received.header(header), received.header("X-Team")) == (value, "erp")
    shown = (await api.admin("GET", f"/webhooks/{made}")).result["credentials"]
    assert "***" in shown.values()
    assert not {"their-key", "k", "s3cret"} & set(shown.values())


@pytest.mark.parametrize("expires_in", [3600, "3600", None])
async def test_a_token_is_fetched_once_for_many_requests(api: Api, receiver: Receiver, expires_in: Any) -> None:
    """However many go out at once, the token host is asked once, and what it gave goes with each of them."""
    host = TokenHost()
    host.expires_in = expires_in
    receiver.behave(host.answer)
    async with Receiver.listen(behaviour=host.token) as tokens, working(api):
        made = await webhook(api, receiver, credentials=oauth(tokens), active=False)
        await asyncio.gather(*(api.put(f"/customers/c{number}", {"firstName": "A"}) for number in range(20)))
        await api.admin("PUT", f"/webhooks/{made}", json={"active": True})
        await receiver.expect(20)
        [asked] = tokens.received
    assert parse_qs(asked.body.decode()) == {"grant_type": ["client_credentials"], "scope": ["customers.write"]}
    assert asked.header("Authorization") == "Basic cmV0YWlsb3M6czNjcmV0"
    assert {each.header("Authorization") for each in receiver.received} == {"Bearer token-1"}


async def test_a_refused_token_is_fetched_anew_once(api: Api, receiver: Receiver) -> None:
    """A 401 is answered with a new token within the same attempt; a second one is the receiver's answer."""
    host = TokenHost()
    receiver.behave(host.answer)
    async with Receiver.listen(behaviour=host.token) as tokens, working(api):
        made = await webhook(api, receiver, credentials=oauth(tokens), retryLimit=0)
        await api.put("/customers/first", {"firstName": "A"})
        await settled(api, made, "first")
        host.recalled.add("token-1")
        await api.put("/customers/second", {"firstName": "A"})
        second = await settled(api, made, "second")
        assert [each["status"] for each in second["attemptHistory"]] == [200]
        host.recalled |= {"token-2", "token-3"}
        await api.put("/customers/third", {"firstName": "A"})
        third = await settled(api, made, "third", "failed")
    assert [each["status"] for each in third["attemptHistory"]] == [401]
    assert host.issued == ["token-1", "token-2", "token-3"]


async def test_a_token_host_that_fails_is_a_failure_of_its_own(api: Api, receiver: Receiver) -> None:
    """Without a token nothing is sent; the attempt says why, and the delivery arrives when the host gives one again."""
    host = TokenHost()
    host.broken = True
    receiver.behave(host.answer)
    async with Receiver.listen(behaviour=host.token) as tokens, working(api):
        made = await webhook(api, receiver, credentials=oauth(tokens), retryLimit=50, retryBackoff=False)
        await api.put("/customers/c", {"firstName": "A"})
        await tokens.expect(1)
        await settled(api, made, "c", "retrying")
        host.broken = False
        shown = await settled(api, made, "c")
    assert (len(receiver.received), receiver.received[0].header("Authorization")) == (1, "Bearer token-1")
    first, *_, last = shown["attemptHistory"]
    if first["status"] is not None:
        first, last = last, first
    assert (first["status"], first["errorClass"], first["responseBody"]) == (None, "token_error", None)
    assert first["detail"] == "the token host answered 503, expected 200"
    assert last["status"] == 200


async def test_what_is_sent_is_signed(api: Api, receiver: Receiver) -> None:
    """The public library takes what arrives; attempts at the same version have the same id, another version has not."""
    receiver.behave([Behaviour(status=500), Behaviour(), Behaviour()])
    made = await webhook(api, receiver)
    first = await api.admin("POST", f"/webhooks/{made}/signing-secrets", json={})
    assert (first.status, first.result["webhook"], first.result["formerUntil"]) == (200, made, None)
    async with working(api):
        await api.put("/customers/c", {"firstName": "Zoë"})
        await settled(api, made, "c")
        await api.put("/customers/c", {"firstName": "Zora"})
        await receiver.expect(3)
        second = await api.admin("POST", f"/webhooks/{made}/signing-secrets", json={"graceSeconds": 60})
        await settled(api, made, "c")
        await api.put("/customers/d", {"firstName": "D"})
        await receiver.expect(4)
    attempt, again, newer, rotating = receiver.received
    for received in (attempt, again, newer, rotating):
        assert verified(first.result["secret"], received)
    assert (verified(second.result["secret"], newer), verified(second.result["secret"], rotating)) == (False, True)
    ids = [each.header("webhook-id") for each in receiver.received]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    shown = (await api.admin("GET", f"/webhooks/{made}")).result["signing"]
    until = second.result["formerUntil"]
    assert shown == {"secret": "***", "formerSecret": "***", "formerUntil": until, "publicKey": None}


async def test_a_key_pair_signs_and_only_its_public_key_is_shown(
    api: Api, receiver: Receiver, connection: Connection
) -> None:
    """While a key pair takes a secret's place both sign; the private key is told to nobody, and kept as it is."""
    made = await webhook(api, receiver)
    path = f"/webhooks/{made}"
    secret = (await api.admin("POST", f"{path}/signing-secrets", json={})).result["secret"]
    told = check_envelope(await api.admin("POST", f"{path}/signing-secrets", json={"scheme": "v1a"}), 200)["result"]
    assert (told["secret"], told["publicKey"][:5]) == (None, "whpk_")
    shown = (await api.admin("GET", path)).result
    assert shown["signing"]["publicKey"] == told["publicKey"]
    assert (await api.admin("PUT", path, json=shown)).result["signing"] == shown["signing"]
    async with working(api):
        await api.put("/customers/c", {"firstName": "Zoë"})
        await receiver.expect(1)
        again = (await api.admin("POST", f"{path}/signing-secrets", json={"graceSeconds": 0})).result
        await settled(api, made, "c")
        await api.put("/customers/d", {"firstName": "D"})
        await receiver.expect(2)
    both, alone = receiver.received
    assert (verified(secret, both), checked(told["publicKey"], both)) == (True, True)
    assert (checked(told["publicKey"], alone), checked(again["publicKey"], alone)) == (False, True)
    assert await connection.fetchval("select count(*) from webhook where settings::text like '%whsk_%'") == 0


async def test_a_rotation_that_makes_no_sense_is_refused(api: Api, receiver: Receiver) -> None:
    """A grace has its limits, a secret its form, and a webhook has to be there."""
    made = await webhook(api, receiver)
    for body, expected in (
        ([], [("", "WRONG_TYPE")]),
        ({"graceSeconds": -1}, [("/graceSeconds", "OUT_OF_RANGE")]),
        ({"graceSeconds": None}, [("/graceSeconds", "REQUIRED")]),
        ({"graceSeconds": 31 * 86_400}, [("/graceSeconds", "OUT_OF_RANGE")]),
        ({"secret": "s3cret"}, [("/secret", "INVALID_SECRET")]),
        ({"secret": "***"}, [("/secret", "HIDDEN_VALUE")]),
        ({"secret": "whsk_" + "B" * 43 + "=", "scheme": "v1"}, [("/scheme", "REFERENCE_CONFLICT")]),
        ({"scheme": "v2"}, [("/scheme", "UNKNOWN_CHOICE")]),
        ({"sceret": "x"}, [("/sceret", "UNKNOWN_FIELD")]),
    ):
        assert codes(await api.admin("POST", f"/webhooks/{made}/signing-secrets", json=body)) == expected, body
    assert (await api.admin("POST", "/webhooks/999/signing-secrets", json={})).status == 404
    own = "whsec_" + "B" * 43 + "="
    assert (await api.admin("POST", f"/webhooks/{made}/signing-secrets", json={"secret": own})).result["secret"] == own
    assert (await api.admin("PUT", f"/webhooks/{made}", json={"signing": None})).result["signing"] is None


async def test_a_client_certificate_opens_a_receiver_that_asks_for_one(api: Api, tmp_path: Path) -> None:
    """With its certificate, key and authority a webhook is let in; without, the delivery fails before it is sent."""
    ca, clients = authority(), authority("Clients")
    tls = server_side(signed(ca, HOST), tmp_path, clients_of=clients)
    async with Receiver.listen(tls=tls) as receiver, working(api):
        url = f"{receiver.url}/{{externalCustomerId}}"
        trusting: dict[str, Any] = {"url": url, "certificateAuthority": ca.certificate_pem.decode(), "retryLimit": 0}
        made = await webhook(api, receiver, **trusting, **mutual(signed(clients, "retailos")))
        stranger = await webhook(api, receiver, name="stranger", **trusting)
        wrong = await webhook(api, receiver, name="wrong", **trusting, **mutual(signed(authority(), "retailos")))
        await api.put("/customers/c", {"firstName": "A"})
        await settled(api, made, "c")
        for failing in (stranger, wrong):
            shown = await settled(api, failing, "c", "failed")
            # The refusal of TLS 1.3 may be overtaken by the end of the connection.
            assert shown["errorClass"] in ("tls_error", "connection_reset")
    assert len(receiver.received) == 1
    shown = (await api.admin("GET", f"/webhooks/{made}")).result
    assert shown["clientKey"] == "***"
    assert shown["clientCertificate"].startswith("-----BEGIN CERTIFICATE-----")
    assert shown["certificateExpiresAt"] == f"{NOW + DAY:%Y-%m-%dT%H:%M:%S}.000Z"


async def test_a_certificate_that_ends_soon_is_said(
    api: Api, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """A webhook whose certificate ends within the days of the settings is listed, and said once a day."""
    clients = authority()
    made = await webhook(api, receiver, **mutual(signed(clients, "a", ends=NOW + timedelta(days=20))))
    await webhook(api, receiver, name="later", **mutual(signed(clients, "b", ends=NOW + timedelta(days=40))))
    pool = api.engine.pool
    [expiring] = await operations.list_expiring(pool, 30)
    assert (expiring.webhook, expiring.expires_at[:10]) == (made, f"{NOW + timedelta(days=20):%Y-%m-%d}")
    assert await operations.list_expiring(pool, 10) == []
    configure("warning")
    said = ""
    async with working(api):

        def look() -> bool:
            nonlocal said
            said += capsys.readouterr().err
            return CertificateExpiring.__name__ in said

        await eventually(look)
    assert '"webhook":"customer-webhook"' in said


def oauth(tokens: Receiver) -> dict[str, str]:
    """Credentials that ask this token host."""
    url = f"{tokens.url}/token"
    said = {"tokenUrl": url, "clientId": "retailos", "clientSecret": "s3cret", "scope": "customers.write"}
    return {"type": "oauth2", **said}


def mutual(identity: Identity) -> dict[str, str]:
    """A webhook's certificate and key."""
    key = identity.pem.removeprefix(identity.certificate_pem)
    return {"clientCertificate": identity.certificate_pem.decode(), "clientKey": key.decode()}


def checked(public_key: str, received: Received) -> bool:
    """Whether what arrived carries a signature of a key pair, as anybody checks it with any library for Ed25519."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    message = f"{received.header('webhook-id')}.{received.header('webhook-timestamp')}.".encode() + received.body
    for signature in (received.header("webhook-signature") or "").split():
        if signature.startswith("v1a,"):
            with suppress(InvalidSignature):
                key.verify(base64.b64decode(signature.removeprefix("v1a,")), message)
                return True
    return False


def verified(secret: str, received: Received) -> bool:
    """Whether what arrived carries a signature of this secret."""
    headers = {name.decode(): value.decode() for name, value in received.raw_headers}
    try:
        Webhook(secret).verify(received.body, headers)
    except WebhookVerificationError:
        return False
    return True
