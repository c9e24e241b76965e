"""Natural keys of drafts: what names a record of which nobody sent an external id, and the one that follows from it."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from retailos.declare.resource import Resource
from retailos.records.record import Draft, Want

#: The references that make up a natural key, in the order of its declaration.
Key: TypeAlias = tuple[Want, ...]


def key_of(resource: Resource, wants: Iterable[Want]) -> Key | None:
    """Give the references that make up the natural key; None where it is not whole, or the resource has none."""
    if resource.natural_key is None:
        return None
    own = {want.reference: want for want in wants if want.item is None}
    names = resource.natural_key.references
    return tuple(own[name] for name in names) if own.keys() >= set(names) else None


def natural_id(resource: Resource, key: Key) -> str | None:
    """Give the external id that follows from a natural key; None where the key names a record by our id alone."""
    names = [want.external_id for want in key if want.external_id]
    return resource.natural_key.external_id(names) if resource.natural_key and len(names) == len(key) else None


def new_name(resource: Resource, draft: Draft) -> str | None:
    """Give the external id that a draft's natural key makes; None where it goes by none, or by our ids."""
    key = key_of(resource, draft.wants) if draft.by_key else None
    return natural_id(resource, key) if key else None


def identity(resource: Resource, draft: Draft) -> Any:
    """What tells a draft from those of other records, as far as it can be told before they are looked up."""
    key = key_of(resource, draft.wants) if draft.by_key else None
    return tuple((want.external_id, want.id) for want in key) if key else draft.external_id
