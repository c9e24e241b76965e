"""Who may call: from which address, with which key, for what, and how often."""

import math
from collections.abc import Iterable
from typing import Final

from retailos.api.call import Call, Engine, Operation
from retailos.api.origin import origin
from retailos.declare.field import Field, Reference
from retailos.declare.resource import Resource
from retailos.errors import Forbidden, RateLimited, Unauthorized
from retailos.exchanges.networks import IPAddress, within
from retailos.keys.key import Key
from retailos.keys.text import taken_apart
from retailos.settings import Settings

#: `API_KEY` is the guide's word; generated clients and Swagger UI speak Bearer.
_SCHEMES: Final = ("api_key", "bearer")
#: A key has about 60 characters.
_HEADER_MOST: Final = 200
#: Load balancers ask here from addresses that call for nobody; there is nothing to learn.
_FOR_EVERYBODY: Final = b"/health/"
#: How often a call that goes on sees whether its key still lives; what a process knows of a key is two seconds old at
#: most, so that together this is less than the five seconds in which a revoked key opens nothing any more.
CHECK_SECONDS: Final = 2.0
_NO_KEY: Final = "the key is none of this installation and environment, or was revoked, or has expired"


def admit(settings: Settings, call: Call) -> None:
    """Set where a call comes from; Forbidden where nobody can tell, or nobody from there may call."""
    if call.scope["raw_path"].startswith(_FOR_EVERYBODY):
        return
    call.origin = origin(_peer(call), call.headers(b"x-forwarded-for"), settings.trusted_proxies)
    if call.origin is None:
        raise Forbidden("expected addresses in X-Forwarded-For, got something else; correct the proxies on the way")
    if settings.caller_networks and not within(call.origin, settings.caller_networks):
        raise Forbidden("This address may not call; ask whoever runs this installation to allow its network.")


async def authorise(engine: Engine, call: Call, operation: Operation) -> None:
    """Set who calls, or say why not.

    Raises Unauthorized without a living key and Forbidden where it may not be used from there, RateLimited where that
    happens too often or the key is used too often, and Forbidden where the key does not allow this. What is tried from
    elsewhere takes none of the requests of the key's owner.
    """
    text = ""
    try:
        text = _given(call)
        key = engine.keys.lately(text) or await _recognised(engine, call, text)
        _check_admitted(call, key)
    except (Unauthorized, Forbidden):
        _count_failure(engine, call, text)
        raise
    if engine.requests is not None:
        call.rate, wait = engine.requests.take(key.id)
        if wait:
            raise _later(wait)
    _check_allowed(key, operation)
    call.key = key


async def check_again(engine: Engine, call: Call) -> None:
    """See again who calls, where a call goes on: raise Unauthorized or Forbidden where a new one would be refused now.

    That is no request and no failure of the caller's, so it is not counted.
    """
    if call.operation:
        key = await engine.keys.recognise(_given(call))
        if key is None:
            raise _unauthorized(_NO_KEY)
        _check_admitted(call, key)
        _check_allowed(key, call.operation)
        call.key = key


def check_shown(call: Call, shown: Iterable[Field | Reference]) -> None:
    """Raise Forbidden where the objects of references are to be shown that lead to what the key may not read.

    A key for orders is none for customers: unasked an order shows who bought by id alone.
    """
    scopes = dict.fromkeys(f"{each.to}:read" for each in shown if isinstance(each, Reference))
    missing = [scope for scope in scopes if call.key is None or not call.key.allows(scope)]
    if missing:
        asked = ", ".join(missing)
        raise Forbidden(f"This key does not allow {asked}, as the references to be shown ask for; leave those out.")


def check_may_read(call: Call, resource: Resource) -> None:
    """Raise Forbidden where a write is to show its record, as it is afterwards, to a key that may not read it."""
    scope = f"{resource.name}:read"
    if call.key is None or not call.key.allows(scope):
        raise Forbidden(f"This key does not allow {scope}, as return=representation asks for; leave that out.")


def _given(call: Call) -> str:
    """The text of the key that a call came with."""
    given = call.headers(b"authorization")
    if len(given) != 1 or len(given[0]) > _HEADER_MOST:
        raise _unauthorized("expected one header `Authorization: API_KEY <key>`")
    scheme, _, text = given[0].decode("latin-1").partition(" ")
    if scheme.lower() not in _SCHEMES:
        raise _unauthorized("expected the header Authorization to begin with API_KEY")
    return text.strip()


def _check_admitted(call: Call, key: Key) -> None:
    """Raise Forbidden where a key may not be used from where a call comes from."""
    if key.networks and not key.admits(_address(call)):
        raise Forbidden("This key may not be used from this address; ask whoever gave it out to allow its network.")


def _check_allowed(key: Key, operation: Operation) -> None:
    """Raise Forbidden where a key does not allow an operation."""
    if not key.allows(operation.scope):
        raise Forbidden(f"This key does not allow {operation.scope}; ask for a key with that scope.")


async def _recognised(engine: Engine, call: Call, text: str) -> Key:
    """The key that a text is; who has failed too often is not looked up, but for keys that were good before."""
    if engine.failures is not None and not engine.keys.was_proved(text):
        wait = engine.failures.wait(_address(call), _key_id(text))
        if wait:
            raise _later(wait)
    key = await engine.keys.recognise(text)
    if key is None:
        raise _unauthorized(_NO_KEY)
    return key


def _count_failure(engine: Engine, call: Call, text: str) -> None:
    """Count a call without a key that is good there; too many, and RateLimited takes the place of the refusal."""
    if engine.failures is not None:
        wait = engine.failures.take(_address(call), _key_id(text))
        if wait:
            raise _later(wait) from None


def _key_id(text: str) -> str:
    parts = taken_apart(text)
    return parts.id if parts else ""


def _address(call: Call) -> IPAddress | None:
    """Where a call comes from; where nothing is configured that would change it, that is its peer."""
    return call.origin or origin(_peer(call), (), ())


def _peer(call: Call) -> str:
    client = call.scope.get("client")
    return client[0] if client else ""


def _later(seconds: float) -> RateLimited:
    return RateLimited(retry_after_seconds=math.ceil(seconds))


def _unauthorized(reason: str) -> Unauthorized:
    return Unauthorized(details={"reason": reason}, headers={"WWW-Authenticate": 'API_KEY realm="RetailOS"'})
