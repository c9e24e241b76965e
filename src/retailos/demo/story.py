"""What the demo does for all to see: the guide's customer to paste, a webhook, and a customer written and delivered."""

import asyncio
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

import msgspec

from retailos.declare.values import printed
from retailos.demo.caller import Caller

WEBHOOK: Final = "demo-receiver"
#: Soon enough to watch a retry; the standard policy waits two minutes.
RETRY_DELAY_SECONDS: Final = 5
DELIVERY_SECONDS: Final = 60.0

#: The request of the guide's section 6.
CUSTOMER: Final = MappingProxyType(
    {
        "externalCustomerId": "example-customer-id",
        "title": "Mr",
        "gender": "Female",
        "firstName": "Example",
        "lastName": "Customer",
        "telephone": "+44 8800000000",
        "email": "email@example.com",
        "dob": "01/01/1904",
        "generalMarketing": False,
        "thirdPartyMarketing": False,
        "address": {"city": "", "county": "", "country": "", "address1": "", "address2": "", "postCode": ""},
    }
)
#: The customer that the demo writes itself, anew at each start.
OWN: Final = "demo-customer"


def curl(port: int, key: str) -> str:
    """The command that writes the guide's customer, to paste into a shell."""
    return (
        f"curl -X PUT http://127.0.0.1:{port}/v2/public/customers/{CUSTOMER['externalCustomerId']} \\\n"
        f"  -H 'Authorization: API_KEY {key}' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d '{msgspec.json.encode(dict(CUSTOMER)).decode()}'"
    )


async def add_webhook(operator: Caller, receiver_port: int) -> None:
    """Have the receiver told of customers: with a new webhook, or with the earlier one if the port is another."""
    url = f"http://127.0.0.1:{receiver_port}/v1/retailos/customer/{{externalCustomerId}}"
    wanted = {"name": WEBHOOK, "resource": "customer", "url": url, "retryDelay": RETRY_DELAY_SECONDS}
    webhooks = await operator.call("GET", "/v2/admin/webhooks")
    earlier = next((each for each in webhooks["rows"] if each["name"] == WEBHOOK), None)
    if earlier is None:
        await operator.call("POST", "/v2/admin/webhooks", wanted)
    elif earlier["url"] != url:
        await operator.call("PUT", f"/v2/admin/webhooks/{earlier['id']}", wanted)


class Deliveries:
    """What the receiver got, as its process tells it."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[tuple[float, dict[str, Any]]] = asyncio.Queue(maxsize=1_000)

    def heard(self, line: bytes) -> None:
        """Take note of one request; of a flood, the first are enough."""
        if not self._arrived.full():
            self._arrived.put_nowait((asyncio.get_running_loop().time(), msgspec.json.decode(line)))

    async def expect(self, external_id: str, version: int) -> float:
        """When this version of a customer arrived, by the loop's clock; TimeoutError if it doesn't."""
        async with asyncio.timeout(DELIVERY_SECONDS):
            while True:
                at, request = await self._arrived.get()
                if request["path"].endswith(f"/{quote(external_id)}") and request["version"] == str(version):
                    return at


async def write_own(integrator: Caller, deliveries: Deliveries) -> float:
    """Write the demo's own customer; the seconds from sending it to its arrival at the receiver, or TimeoutError."""
    begun = asyncio.get_running_loop().time()
    body = {"firstName": "Ada", "lastName": "Lovelace", "details": {"demoStartedAt": printed(datetime.now(UTC))}}
    [job] = await integrator.call("PUT", f"/v2/public/customers/{OWN}", body)
    return await deliveries.expect(OWN, job["version"]) - begun
