"""How records are sent by the thousand: what each is called and what its bytes mean, told without reading the rest."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from retailos.declare.resource import Resource, Resources

DIGEST_BYTES: Final = 16

#: A record's bytes, as they stand in the request.
Piece = msgspec.Raw
T = TypeVar("T")


class Same(NamedTuple):
    """A record that is as it was sent."""

    external_id: str
    id: UUID
    version: int


class Called(NamedTuple):
    """What a record is called: its name, "" where that can't be told; and whether it follows from its natural key."""

    name: str
    by_key: bool = False


UNCALLED: Final = Called("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form(Generic[T]):
    """How records are sent: what each is called, its bytes, and what decides on the meaning of these."""

    called: Callable[[T], Called]
    raw: Callable[[T], bytes | Piece]
    salt: bytes


def in_json(resources: Resources, resource: Resource) -> Form[Piece]:
    """Records as they stand in a request's body."""
    return Form(called=called_in_json(resources, resource), raw=_itself, salt=salt_of(resource))


def called_in_json(resources: Resources, resource: Resource) -> Callable[[bytes | Piece], Called]:
    """What reads of a record's JSON nothing but how it is called."""
    read, natural = _named(resources, resource).decode, resource.natural_key

    def called(raw: bytes | Piece) -> Called:
        try:
            said: Any = read(raw)
        except (msgspec.DecodeError, RecursionError):
            return UNCALLED
        if natural is None or said.external_id is not None:
            return Called(said.external_id)
        key = [getattr(said, name) for name in natural.references]
        return Called(natural.external_id(each.external_id for each in key), True) if all(key) else UNCALLED

    return called


def _itself(piece: Piece) -> Piece:
    return piece


@lru_cache
def salt_of(resource: Resource, *more: str) -> bytes:
    """How the resource is declared, and what else decides: otherwise, the same bytes may mean something else."""
    meaning = repr((resource.name, dict(resource.settable), resource.references, resource.rules, *more))
    return blake2b(meaning.encode(), digest_size=DIGEST_BYTES).digest()


@lru_cache
def _named(resources: Resources, resource: Resource) -> msgspec.json.Decoder[Any]:
    if resource.natural_key is None:
        return msgspec.json.Decoder(_naming(resource))
    external_id = ("external_id", str | None, msgspec.field(name=resource.external_id.name, default=None))
    names = resource.natural_key.references
    key = [(name, _naming(resources[resource.reference[name].to]) | None, None) for name in names]
    return msgspec.json.Decoder(msgspec.defstruct("Named", [external_id, *key]))


def _naming(resource: Resource) -> Any:
    return msgspec.defstruct("Naming", [("external_id", str, msgspec.field(name=resource.external_id.name))])
