"""A webhook's shape names what goes out of a record; what it does not name goes out as the guide has it."""

from typing import Any

import pytest

from retailos.declare.field import Field, Reference
from retailos.resources import RESOURCES
from retailos.webhooks.shape import MINIMAL_USER, Shape, shape_problems, shown_by

CUSTOMER, ORDER = RESOURCES["customer"], RESOURCES["order"]


def names(shape: Shape, resource: Any = CUSTOMER) -> list[str]:
    """The names of what goes out."""
    return [each.name for each in shown_by(shape, resource)]


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)
def test_without_a_shape_the_entire_object_goes_out(resource: Any) -> None:
    """Every field, in the entity's order, and the relations that the guide shows."""
    expected = [
        each.name for each in resource.shown if isinstance(each, Field) or each.name in resource.webhook_relations
    ]
    assert names(Shape(), resource) == expected


def test_what_is_named_goes_out_with_what_tells_which_state_it_is() -> None:
    """The external id, the version and the deletion go out always, all in the entity's order, each once."""
    shape = Shape(fields=("registeredAt", "region", "email", "version"))
    assert names(shape) == ["externalCustomerId", "email", "registeredAt", "region", "version", "deletedAt"]


def test_a_user_can_be_less() -> None:
    """Where a record shows users, `minimal` shows who they are and no more; other relations stay as they are."""
    full, minimal = (
        {each.name: each for each in shown_by(Shape(user_projection=word), CUSTOMER) if isinstance(each, Reference)}
        for word in ("full", "minimal")
    )
    assert minimal["registeredBy"].projection == MINIMAL_USER
    assert set(MINIMAL_USER) <= set(RESOURCES["user"].projection)
    assert minimal["registeredAt"] is full["registeredAt"]
    assert full["registeredBy"].projection == ()


def test_what_a_record_does_not_have_is_refused() -> None:
    """Each unknown name is a problem of its own, with what was meant."""
    problems = list(shape_problems(CUSTOMER, {"fields": ["email", "emial", "registeredAt.name", "territory"]}))
    assert [(each.path, each.code) for each in problems] == [
        ("/fields/1", "UNKNOWN_FIELD"),
        ("/fields/2", "UNKNOWN_FIELD"),
    ]
    assert problems[0].message.endswith("did you mean email?")
