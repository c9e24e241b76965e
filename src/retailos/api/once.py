"""A POST with an Idempotency-Key is done once, however often it is sent, and always answered alike."""

import hashlib
from collections.abc import Awaitable, Callable
from uuid import UUID

from retailos import answers
from retailos.answers import Asked, Kept
from retailos.api.call import Answer, Call, Engine
from retailos.database.pool import Connection, transaction, unhindered
from retailos.errors import BadRequest

#: Does what a request asks for, in a transaction; gives the answer, and the id of the record that it shows.
Work = Callable[[Connection], Awaitable[tuple[Answer, UUID]]]


def idempotency_key(call: Call) -> str | None:
    """The call's Idempotency-Key, whose form the front door has seen to; None where it came without."""
    given = call.headers(b"idempotency-key")
    if len(given) > 1:
        raise BadRequest("expected one header Idempotency-Key")
    return given[0].decode("ascii") if given else None


def begun(call: Call) -> "hashlib._Hash":
    """Begin the digest of a request: what comes before its body."""
    return hashlib.sha256(b"\n".join((call.scope["raw_path"], call.query, b"")))


def asked_of(call: Call, key: str, digest: bytes = b"") -> Asked:
    """What a request is recognised by: the key counts for one API key and one route."""
    if call.operation is None:
        raise LookupError("expected a call that was routed")
    route = f"{call.operation.method} {call.operation.path}"
    return Asked(api_key_id=call.api_key_id or "", route=route, key=key, digest=digest)


async def once(engine: Engine, asked: Asked, work: Work) -> Answer:
    """Answer as the request was answered before, or do the work and keep its answer, in one commit.

    Work that raises leaves nothing behind, so the same key may be sent again with a request that is put right.
    """

    async def answered() -> Answer:
        async with transaction(engine.pool) as connection:
            kept = await answers.begin(connection, asked)
            if kept:
                return Answer(kept.result.encode(), kept.status, {**kept.headers, "Idempotency-Replayed": "true"})
            answer, record_id = await work(connection)
            told = Kept(status=answer.status, headers=answer.headers, result=answer.result.decode())
            await answers.keep(connection, asked, told, record_id)
        engine.hint()
        return answer

    return await unhindered(answered)
