"""Sample records are such as a caller would send: whole, plausible, and taken as they are."""

from collections import defaultdict
from random import Random
from typing import Any

import msgspec
import pytest

from retailos.declare.field import Field, Reference
from retailos.declare.resource import Resource
from retailos.declare.sample import external_id, sample
from retailos.records import body
from retailos.resources import RESOURCES

EACH = 200


def samples(resource: Resource, *, seed: int) -> list[dict[str, Any]]:
    """Many bodies of one resource, each of which may refer to those before it and to some of the others."""
    random = Random(seed)
    known = defaultdict[str, list[str]](list)
    for name, other in RESOURCES.items():
        known[name] = [external_id(other, number) for number in range(1, 6)] if other is not resource else []
    made = []
    for number in range(1, EACH + 1):
        made.append(sample(RESOURCES, resource, random, number, known))
        known[resource.name].append(external_id(resource, number))
    return made


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_sample_is_accepted(resource: Resource, seed: int) -> None:
    """Whatever sample is made of whichever resource, a request with it passes every check."""
    for made in samples(resource, seed=seed):
        draft = body.read(RESOURCES, resource, msgspec.json.encode(made), external_id=None)
        assert draft.external_id == made[resource.external_id.name]


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)
def test_samples_are_not_all_alike(resource: Resource) -> None:
    """What may be left out is sometimes there, sometimes null and sometimes absent; what must be there always is."""
    made = samples(resource, seed=1)
    references = {each.name for each in resource.references}
    demanded = {*resource.required, *(each.name for each in resource.references if each.required)}
    demanded |= {*resource.unique, *(name for each in resource.together for name in each.fields)} & set(resource.fields)
    demanded -= {each.id_field.name for each in resource.references}
    assert demanded <= {*resource.fields, *references}
    for name in (each.name for each in resource.members if isinstance(each, Field | Reference)):
        field = resource.fields.get(name)
        if name in (*demanded, *resource.requires_one_of) or (field and (field.read_only or field.at)):
            continue
        assert {name in each for each in made} == {True, False}, name
        assert any(each.get(name, "") is None for each in made), name
    for name in demanded:
        assert all(each[name] is not None for each in made)


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)
def test_what_must_be_unique_is(resource: Resource) -> None:
    """No two samples share an external id, an e-mail address or a value that must be unique."""
    made = samples(resource, seed=1)
    for name in (resource.external_id.name, "email", *resource.unique):
        values = [each[name] for each in made if each.get(name)]
        assert len(values) == len(set(values)), name


def test_a_reference_leads_to_what_is_known() -> None:
    """A reference names a record that the caller knows of, in the nested form; of what is unknown there is none."""
    customer = RESOURCES["customer"]
    made = [sample(RESOURCES, customer, Random(seed), 1, {"store": ["store-7"]}) for seed in range(20)]
    assert {each["registeredAt"]["externalStoreId"] for each in made if each.get("registeredAt")} == {"store-7"}
    assert not any("territory" in each for each in made)


def test_the_same_chance_makes_the_same_sample() -> None:
    """A demo that starts again makes the records that it made before."""
    assert samples(RESOURCES["store"], seed=5) == samples(RESOURCES["store"], seed=5)


def test_an_address_is_its_owners() -> None:
    """Whoever has a name has an e-mail address that goes with it, in plain letters."""
    addresses = [each["email"] for each in samples(RESOURCES["customer"], seed=1)]
    assert any(address.startswith("ada.") for address in addresses)
    assert all(address.isascii() and address.endswith("@example.com") for address in addresses)
