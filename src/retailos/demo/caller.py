"""Calls the demo's own API over HTTP, as any other program would."""

import asyncio
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

import msgspec

from retailos.errors import RetailOSError, Unavailable

ANSWER_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: at which port of this machine, and with which key."""

    port: int
    key: str

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and give the envelope's result; RetailOSError with the envelope's message for a refusal."""
        return await asyncio.to_thread(self._exchange, method, path, body)

    def _exchange(self, method: str, path: str, body: Any) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        headers = {"Authorization": f"API_KEY {self.key}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else msgspec.json.encode(body), headers)
            envelope = msgspec.json.decode(connection.getresponse().read())
        except (OSError, HTTPException) as error:
            raise Unavailable(f"The demo's API did not answer {method} {path} at port {self.port}: {error}") from error
        finally:
            connection.close()
        if envelope["error"]:
            raise RetailOSError(f"{method} {path} was refused: {envelope['error']['message']}")
        return envelope["result"]
