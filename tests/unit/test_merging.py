"""What a merge makes of its records is decided without a database, field by field."""

from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from retailos.errors import ValidationFailed
from retailos.records.merging import Combined, Party, combine, read
from retailos.resources import RESOURCES

CUSTOMER = RESOURCES["customer"]
SURVIVOR, LOSER, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)


def combined(survivor: dict[str, Any], *losers: dict[str, Any], **chosen: UUID) -> Combined:
    """Combine bodies; the losers are 2, 3, …."""
    parties = [Party(id=UUID(int=i), body={"firstName": "Ada"} | each) for i, each in enumerate((survivor, *losers), 1)]
    return combine(CUSTOMER, parties[0], parties[1:], chosen)


@pytest.mark.parametrize("empty", [None, "", {}, {"city": "", "county": None}, []], ids=str)
def test_what_says_nothing_is_filled(empty: Any) -> None:
    """Null, an empty text, an empty object and one of empty members are filled; false and zero are values."""
    made = combined({"details": empty}, {"details": empty}, {"details": {"a": 0}})
    assert (made.patch, made.taken_from) == ({"details": {"a": 0}}, {"details": OTHER})
    assert combined({"details": {"a": 0}}, {"details": {"b": 1}}).patch == {}
    assert combined({"details": {"a": False}}, {"details": {"b": 1}}).patch == {}


def test_what_is_absent_is_a_consent_that_nobody_gave() -> None:
    """A consent that was never sent is none, whoever of the records did not send it."""
    given = {"smsMarketing": True, "emailMarketing": True}
    made = combined(given, {"smsMarketing": True})
    assert made.patch == {"emailMarketing": False}
    assert made.consents["smsMarketing"] is True
    assert sum(made.consents.values()) == 1
    assert combined({}, given).patch == {}


def test_what_is_chosen_is_taken_as_it_is() -> None:
    """A chosen field is taken from that record though others have more to say, and nothing from nobody."""
    made = combined({"title": "Ms"}, {"title": "Dr"}, {}, title=OTHER, lastName=SURVIVOR)
    assert (made.patch, made.taken_from) == ({"title": None}, {"title": OTHER})
    assert combined({}, {"title": "Dr"}, title=SURVIVOR).patch == {}


def test_fields_of_the_server_are_nobody_s_to_take() -> None:
    """What the server keeps, and what happened to a loser, stays with it."""
    made = combined({}, {"anonymisedAt": "2020-03-25T13:41:30.709Z"})
    assert made.patch == {}


def asked(body: Any) -> Any:
    """Read the body of a merge."""
    return read(CUSTOMER, SURVIVOR, msgspec.json.encode(body))


def test_everything_wrong_is_told_at_once() -> None:
    """All that is wrong with a merge is told, each with a pointer into the body as it was sent."""
    with pytest.raises(ValidationFailed) as caught:
        asked({"from": [str(SURVIVOR), "x", 1], "fields": {"a/b": str(LOSER), "dob": str(uuid4())}, "form": []})
    assert [(each.path, each.code) for each in caught.value.problems] == [
        *(("/form", "UNKNOWN_FIELD"), ("/from/0", "SAME_RECORD"), ("/from/1", "INVALID_UUID")),
        *(("/from/2", "WRONG_TYPE"), ("/fields/a~1b", "UNKNOWN_FIELD"), ("/fields/dob", "UNKNOWN_CHOICE")),
    ]
    with pytest.raises(ValidationFailed):
        asked({"from": [str(UUID(int=i)) for i in range(2, 103)]})
    assert len(asked({"from": [str(UUID(int=i)) for i in range(2, 102)]}).losers) == 100
