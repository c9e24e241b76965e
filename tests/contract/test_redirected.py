"""A secret that is kept goes nowhere else: who points a webhook at another host gives its secrets anew."""

import asyncio
from typing import Any, Final

import pytest

from retailos.database.pool import Connection
from retailos.receiver import Receiver
from tests.conftest import eventually
from tests.contract.conftest import Api, check_envelope, codes
from tests.contract.delivering import settled, webhook, working
from tests.contract.test_credentials import mutual
from tests.reliability.certificates import authority, signed

HERE, THERE = "https://127.0.0.1:9", "https://127.0.0.2:9"
PATH = "/v1/customer/{externalCustomerId}"
SECRET = "whsec_" + "B" * 43 + "="
CLIENT: Final = {"type": "oauth2", "clientId": "retailos", "clientSecret": "s3cret"}
HIDDEN: Final = {"type": "oauth2", "clientId": "retailos", "clientSecret": "***"}

WAITING = """
select count(*) = $1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
"""


async def added(api: Api, **fields: Any) -> dict[str, Any]:
    """A webhook that sends nothing."""
    body = {"name": "erp", "resource": "customer", "url": HERE + PATH, "active": False} | fields
    answer = await api.admin("POST", "/webhooks", json=body)
    assert answer.status == 201, answer.body
    shown: dict[str, Any] = answer.result
    return shown


async def changed(api: Api, made: dict[str, Any], **fields: Any) -> list[tuple[str, str]]:
    """Change a webhook; the problems of it, none where it was done."""
    answer = await api.admin("PUT", f"/webhooks/{made['id']}", json=fields)
    if answer.status == 200:
        return []
    assert check_envelope(answer, 422)["error"]["code"] == "SECRETS_REDIRECTED"
    return codes(answer)


async def test_every_secret_that_is_kept_is_asked_for_where_the_host_changes(api: Api) -> None:
    """Kept in silence or sent back as ***, each secret is named; given anew or taken away, none is."""
    given: dict[str, Any] = {
        "headers": {"X-Token": "canary-3f6b9d", "X-Team": "erp"},
        "credentials": {"type": "basic", "user": "u", "password": "canary-3f6b9d"},
        "signing": {"secret": SECRET, "formerSecret": SECRET, "formerUntil": "2030-01-01T00:00:00Z"},
        **mutual(signed(authority(), "retailos")),
    }
    made = await added(api, **given)
    expected = [
        ("/clientKey", "HIDDEN_VALUE"),
        ("/credentials/password", "HIDDEN_VALUE"),
        ("/headers/X-Team", "HIDDEN_VALUE"),
        ("/headers/X-Token", "HIDDEN_VALUE"),
        ("/signing/formerSecret", "HIDDEN_VALUE"),
        ("/signing/secret", "HIDDEN_VALUE"),
    ]
    assert sorted(await changed(api, made, url=THERE + PATH)) == expected
    assert sorted(await changed(api, made, **{**made, "url": THERE + PATH})) == expected
    part = {"headers": {"x-token": "***", "X-Team": "crm"}, "signing": None, "clientKey": None}
    left = await changed(api, made, url=THERE + PATH, clientCertificate=None, **part)
    assert sorted(left) == [("/credentials/password", "HIDDEN_VALUE"), ("/headers/x-token", "HIDDEN_VALUE")]
    assert (await api.admin("GET", f"/webhooks/{made['id']}")).result == made
    assert await changed(api, made, url=THERE + PATH, **given) == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9", "https://127.0.0.1", "https://127.0.0.1:10", "https://127.0.0.2:9"]
)
async def test_scheme_host_and_port_are_what_a_secret_is_given_for(api: Api, url: str) -> None:
    """Each of them asks for the secret anew; another path, or the standard port written out, does not."""
    made = await added(api, headers={"X-Token": "s3cret"})
    assert await changed(api, made, url=url + PATH) == [("/headers/X-Token", "HIDDEN_VALUE")]
    assert await changed(api, made, url=HERE + "/v2/{externalCustomerId}") == []
    assert await changed(api, made, url="https://127.0.0.1/a", headers={"X-Token": "anew"}) == []
    assert await changed(api, made, url="https://127.0.0.1:443/b") == []


async def test_a_client_secret_is_given_for_both_hosts(api: Api) -> None:
    """Whoever gives tokens is shown the client's secret, and whoever is sent to gets the tokens that it opens."""
    made = await added(api, credentials=CLIENT | {"tokenUrl": HERE + "/token"}, headers={"X-Team": "erp"})
    secret = ("/credentials/clientSecret", "HIDDEN_VALUE")
    assert await changed(api, made, credentials=HIDDEN | {"tokenUrl": THERE + "/token"}) == [secret]
    assert await changed(api, made, url=THERE + PATH, headers={}) == [secret]
    assert await changed(api, made, credentials=HIDDEN | {"tokenUrl": HERE + "/other"}) == []
    assert await changed(api, made, credentials=CLIENT | {"tokenUrl": THERE + "/token"}) == []


async def test_a_client_key_is_not_shown_to_a_token_host_that_is_new(api: Api) -> None:
    """A token host asks for the certificate too, so that a new one needs the key anew."""
    made = await added(api, **mutual(signed(authority(), "retailos")))
    assert await changed(api, made, credentials=CLIENT | {"tokenUrl": THERE + "/token"}) == [
        ("/clientKey", "HIDDEN_VALUE")
    ]
    assert await changed(api, made, credentials={"type": "apiKey", "key": "k"}) == []


async def test_a_secret_that_is_redirected_reaches_nobody(api: Api) -> None:
    """After a refusal the receiver that had the secret has it still, and the other one nothing."""
    async with Receiver.listen() as known, Receiver.listen() as other, working(api):
        made = await webhook(api, known, headers={"X-Token": "s3cret"})
        url = f"{other.url}/{{externalCustomerId}}"
        assert await changed(api, {"id": made}, url=url) == [("/headers/X-Token", "HIDDEN_VALUE")]
        await api.put("/customers/c", {"firstName": "A"})
        await settled(api, made, "c")
        assert (known.received[-1].header("X-Token"), other.count) == ("s3cret", 0)
        assert await changed(api, {"id": made}, url=url, headers={"X-Token": "theirs"}) == []
        await api.put("/customers/c", {"firstName": "B"})
        await other.expect(1)
    assert other.received[-1].header("X-Token") == "theirs"


async def test_a_secret_that_comes_meanwhile_is_not_redirected(api: Api, connection: Connection) -> None:
    """Of two changes at once the later one is judged by what the earlier one has saved."""
    made = await added(api)
    async with connection.transaction():
        await connection.execute("select from webhook for update")
        giving = asyncio.create_task(changed(api, made, headers={"X-Token": "s3cret"}))
        await eventually(lambda: _waits(api, 1))
        pointing = asyncio.create_task(changed(api, made, url=THERE + PATH))
        await eventually(lambda: _waits(api, 2))
    assert (await giving, await pointing) == ([], [("/headers/X-Token", "HIDDEN_VALUE")])


async def _waits(api: Api, count: int) -> bool:
    async with api.engine.pool.acquire() as connection:
        return bool(await connection.fetchval(WAITING, count))
