"""What the tests of outbound HTTP share: a delivery, where it may go, and a name server that answers as told."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from msgspec.structs import replace

from retailos.exchanges.addresses import Policy
from retailos.exchanges.exchange import Request
from retailos.exchanges.networks import IPAddress, read_networks
from retailos.receiver import Receiver

LOOPBACK = Policy(allow=read_networks(["127.0.0.1/32"]))
NEIGHBOURS = Policy(allow=read_networks(["127.0.0.0/8"]))
HOST = "erp.example.test"
BODY = b'{"customer": {"externalCustomerId": "secret-person"}}'
ENOUGH_SECONDS = 10.0


def put(url: str, **fields: Any) -> Request:
    """A delivery to a path that holds an external id."""
    return replace(
        Request(
            method="PUT",
            url=f"{url}/customer/secret-person",
            headers=(("Content-Type", "application/json"),),
            body=BODY,
            timeout_seconds=ENOUGH_SECONDS,
        ),
        **fields,
    )


class Names:
    """A name server that answers as told, one answer after the other (the last stays), and counts."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[IPAddress]:
        """Answer as told."""
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return tuple(map(ip_address, answer))


def named(receiver: Receiver) -> str:
    """A receiver's URL with a name in place of the address."""
    return f"{receiver.url.partition(':')[0]}://{HOST}:{receiver.url.rpartition(':')[2]}"
