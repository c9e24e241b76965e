"""Who may call: the API key of a request, recognised, and held against what the operation asks for."""

from retailos.api.call import Call, Operation
from retailos.errors import Forbidden, Unauthorized
from retailos.keys import KeyRing

#: `API_KEY` is the guide's word; generated clients and Swagger UI speak Bearer.
_SCHEMES = ("api_key", "bearer")
#: A key has about 60 characters.
_HEADER_MOST = 200


async def authorise(keys: KeyRing, call: Call, operation: Operation) -> None:
    """Set who calls, or raise Unauthorized without a living key and Forbidden where it does not allow this."""
    given = call.headers(b"authorization")
    if len(given) != 1 or len(given[0]) > _HEADER_MOST:
        raise _unauthorized("expected one header `Authorization: API_KEY <key>`")
    scheme, _, text = given[0].decode("latin-1").partition(" ")
    if scheme.lower() not in _SCHEMES:
        raise _unauthorized("expected the header Authorization to begin with API_KEY")
    key = await keys.recognise(text.strip())
    if key is None:
        raise _unauthorized("the key is none of this installation's, or was revoked, or has expired")
    if not key.allows(operation.scope):
        raise Forbidden(f"This key does not allow {operation.scope}; ask for a key with that scope.")
    call.key = key


def _unauthorized(reason: str) -> Unauthorized:
    return Unauthorized(details={"reason": reason}, headers={"WWW-Authenticate": 'API_KEY realm="RetailOS"'})
