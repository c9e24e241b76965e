"""A request's body becomes a checked draft, or an error that lists everything wrong with it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from retailos.declare.values import moment, printed
from retailos.errors import (
    ExternalIdMismatch,
    MalformedJson,
    Problem,
    ReferenceConflict,
    RetailOSError,
    ValidationFailed,
)
from retailos.records import body
from retailos.records.body import MEMBERS_MOST, PROBLEMS_SHOWN, decode, refusal
from retailos.records.record import Draft, Want
from retailos.records.references import external_id_problem
from retailos.resources import RESOURCES

ID, OTHER = UUID("0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e6f"), UUID("0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e70")


def read(value: Any, *, resource: str = "customer", external_id: str | None = "c-1") -> Draft:
    """Read a value as the body of a PUT."""
    return body.read(RESOURCES, RESOURCES[resource], msgspec.json.encode(value), external_id=external_id)


def problems(value: Any, **more: Any) -> list[tuple[str, str]]:
    """Where a body has which problems."""
    with pytest.raises(ValidationFailed) as caught:
        read(value, **more)
    return [(each.path, each.code) for each in caught.value.problems]


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": 1.10}', {"a": Decimal("1.10")}),
        (b'{"a": 1e2}', {"a": Decimal("1e2")}),
        (b'{"a": -0}', {"a": 0}),
        (b'{"a": 0.1}', {"a": Decimal("0.1")}),
        (b'{"a": "\\u00e9\\ud83d\\ude00"}', {"a": "é😀"}),
        (b'{"\\u00e9": 1}', {"é": 1}),
        (b' {"a" : [ ] }\n', {"a": []}),
        (b'{"a": ' + b"9" * 1000 + b"}", {"a": int("9" * 1000)}),
    ],
    ids=lambda each: str(each)[:30],
)
def test_json_is_read_exactly(raw: bytes, value: Any) -> None:
    """Numbers keep every digit, and texts every character."""
    assert decode(raw) == value
    assert repr(decode(raw)) == repr(value)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "got an empty body"),
        (b"{", "at character 1"),
        (b'{"a": 1} 2', "at character 9"),
        (b'\xef\xbb\xbf{"a": 1}', "byte order mark"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a": 1, "a": 2}', "each key of an object once"),
        (b'{"a": {"b": 1, "b": 2}}', "each key of an object once"),
        (b'{"a": "\\u0061", "a": 2}', "each key of an object once"),
        (b'{"a": NaN}', "got NaN"),
        (b"[-Infinity]", "got -Infinity"),
        (b'{"a": ' + b"9" * 1001 + b"}", "at most 1000 digits"),
        (b'{"a": 1e1000000000000000000}', "exponents"),
        (b"[" * 100_000, "levels"),
        (b'{"\\u0000": 1}', "keys without NUL"),
        (b'{"a": {"\\ud800": 1}}', "keys without NUL"),
    ],
    ids=lambda each: str(each)[:30],
)
def test_what_is_no_json_is_refused(raw: bytes, said: str) -> None:
    """JSON that is broken, ambiguous or that nobody can keep is refused with where or why."""
    with pytest.raises(MalformedJson, match=r"^expected ") as caught:
        decode(raw)
    assert said in caught.value.message


def test_an_object_has_a_limit_of_members() -> None:
    """An object with more members than any entity has is refused before each is looked at."""
    most = {f"k{i}": 1 for i in range(MEMBERS_MOST)}
    assert len(decode(msgspec.json.encode(most))) == MEMBERS_MOST
    for value, at in ((most | {"more": 1}, ""), ({"customer": most | {"more": 1}}, "/customer")):
        assert problems(value) == [(at, "TOO_MANY")]


def test_absent_null_and_sent_are_three_things() -> None:
    """What is absent is not in the patch, null is there as the default, and what was sent as it is stored."""
    draft = read({"firstName": "Ada", "lastName": None, "details": None, "smsMarketing": None, "email": ""})
    assert draft.patch == {"firstName": "Ada", "lastName": None, "details": {}, "smsMarketing": False, "email": None}


def test_what_the_server_sets_is_not_in_the_patch() -> None:
    """Read-only fields and the ids are no part of what is written."""
    sent = {
        "firstName": "Ada",
        "version": 9,
        "createdAt": "x",
        "externalCustomerId": "c-1",
        "id": str(ID),
        "anonymisedAt": 1,
    }
    draft = read(sent)
    assert draft.patch == {"firstName": "Ada"}
    assert (draft.external_id, draft.claimed_id) == ("c-1", ID)


def test_the_external_id_comes_from_the_url_or_the_body() -> None:
    """A POST takes the external id from the body, or none; a PUT must not contradict its URL."""
    assert read({"firstName": "A"}, external_id=None).external_id is None
    assert read({"firstName": "A", "externalCustomerId": "b"}, external_id=None).external_id == "b"
    assert read({"firstName": "A", "externalCustomerId": None}).external_id == "c-1"
    with pytest.raises(ExternalIdMismatch):
        read({"firstName": "A", "externalCustomerId": "C-1"})


@pytest.mark.parametrize(
    ("external_id", "code"),
    [
        ("", "TOO_SHORT"),
        ("x" * 256, "TOO_LONG"),
        (".", "NOT_A_SEGMENT"),
        ("..", "NOT_A_SEGMENT"),
        ("a\nb", "CONTROL_CHARACTER"),
        ("\x7f", "CONTROL_CHARACTER"),
        ("\x9f", "CONTROL_CHARACTER"),
        ("a\x00", "UNSTORABLE_TEXT"),
        (7, "WRONG_TYPE"),
    ],
)
def test_external_ids_have_few_rules(external_id: Any, code: str) -> None:
    """An external id has 1 to 255 characters, no controls, and is not one that no URL can address."""
    problem = external_id_problem(external_id, "/x")
    assert problem
    assert (problem.path, problem.code) == ("/x", code)
    assert problems({"firstName": "A", "externalCustomerId": external_id}) == [("/externalCustomerId", code)]
    assert all(external_id_problem(each, "") is None for each in ("x" * 255, "a/b", "...", " ", "😀", "\xa0"))


def test_pointers_lead_into_the_request_as_sent() -> None:
    """Under its resource's name the entity's problems point below that name; a lone unknown member is just unknown."""
    wrong = {"firstName": 1, "addres": {}}
    assert problems(wrong) == [("/firstName", "WRONG_TYPE"), ("/addres", "UNKNOWN_FIELD")]
    assert problems({"customer": wrong}) == [
        ("/customer/firstName", "WRONG_TYPE"),
        ("/customer/addres", "UNKNOWN_FIELD"),
    ]
    assert problems({"customer": {}, "x": 1}) == [
        ("/customer", "UNKNOWN_FIELD"),
        ("/x", "UNKNOWN_FIELD"),
        ("", "REQUIRED"),
    ]
    assert problems({"user": {}}) == [("/user", "UNKNOWN_FIELD"), ("", "REQUIRED")]
    others: tuple[Any, ...] = (None, [], "x", 1, {"customer": None}, {"customer": []})
    assert all(problems(value)[0][1] == "WRONG_TYPE" for value in others)


@pytest.mark.parametrize(
    ("resource", "name", "said"),
    [
        ("order", "externalCustomerId", 'a field of an order; did you mean "customer": {"externalCustomerId": …}?'),
        ("customer", "externalStoreId", 'a field of a customer; did you mean "registeredAt": {"externalStoreId": …}?'),
        ("customer", "firstname", "a field of a customer; did you mean firstName?"),
    ],
)
def test_an_external_id_of_another_record_is_told_where_it_belongs(resource: str, name: str, said: str) -> None:
    """Whoever names another record by its external id alone is told how a record is referred to."""
    with pytest.raises(ValidationFailed) as caught:
        body.read(RESOURCES, RESOURCES[resource], msgspec.json.encode({name: "x"}), external_id="1")
    [told] = [each.message for each in caught.value.problems if each.path == f"/{name}"]
    assert told == f"expected {said}"


def test_references_become_wants() -> None:
    """A reference is wanted by what was sent of it; one that is cleared goes into the patch."""
    sent = {
        "firstName": "A",
        "registeredAt": {"externalStoreId": "s-1", "name": "ignored"},
        "registeredById": str(ID).upper(),
        "territory": {"id": str(ID)},
        "territoryId": str(ID),
        "region": None,
    }
    draft = read(sent)
    assert set(draft.wants) == {
        Want(reference="registeredAt", at="/registeredAt", external_id="s-1"),
        Want(reference="registeredBy", at="/registeredById", id=ID),
        Want(reference="territory", at="/territory", id=ID),
    }
    assert draft.patch == {"firstName": "A", "regionId": None}


def test_references_to_many_become_wants_in_their_order() -> None:
    """An array of references is the whole new set; ids and objects that were both sent are joined."""
    user = {"firstName": "A", "lastName": "B", "username": "c"}
    both = {"stores": [{"externalStoreId": "s-1"}, {"id": str(OTHER)}], "storeIds": [str(ID), str(OTHER)]}
    draft = read(user | both, resource="user")
    assert draft.wants == (
        Want(reference="stores", at="/stores/0", id=ID, external_id="s-1"),
        Want(reference="stores", at="/stores/1", id=OTHER),
    )
    assert draft.patch["storeIds"] == []
    draft = read(user | {"storeIds": [str(ID)]}, resource="user")
    assert draft.wants == (Want(reference="stores", at="/storeIds/0", id=ID),)
    assert "storeIds" not in read(user, resource="user").patch


@pytest.mark.parametrize(
    "torn",
    [
        {"registeredAt": {"id": str(ID)}, "registeredAtId": str(OTHER)},
        {"registeredAt": None, "registeredAtId": str(ID)},
        {"registeredAt": {"externalStoreId": "s"}, "registeredAtId": None},
    ],
    ids=["two ids", "null and id", "object and null"],
)
def test_references_that_contradict_themselves_have_their_own_code(torn: dict[str, Any]) -> None:
    """A reference that is given twice and differently is a conflict; besides other problems it is one of them."""
    with pytest.raises(ReferenceConflict):
        read({"firstName": "A"} | torn)
    assert ("/registeredAt", "REFERENCE_CONFLICT") in problems({"firstName": 1} | torn)


def test_the_source_s_moment_is_read() -> None:
    """sourceUpdatedAt is a moment with an offset, or not there."""
    when = read({"firstName": "A", "sourceUpdatedAt": "2026-01-01T00:00:00.123456+01:00"}).source_updated_at
    assert when is not None
    assert when.isoformat() == "2025-12-31T23:00:00.123000+00:00"
    assert read({"firstName": "A", "sourceUpdatedAt": None}).source_updated_at is None
    for wrong in ("2026-01-01", 17, ""):
        assert [path for path, _ in problems({"firstName": "A", "sourceUpdatedAt": wrong})] == ["/sourceUpdatedAt"]


def test_the_source_s_moment_has_come() -> None:
    """A moment far ahead is refused, since nothing else could be written until then; a fast clock's is taken."""
    ahead = {hours: printed(datetime.now(UTC) + timedelta(hours=hours)) for hours in (14, 25)}
    assert read({"firstName": "A", "sourceUpdatedAt": ahead[14]}).source_updated_at == moment(ahead[14])
    assert problems({"firstName": "A", "sourceUpdatedAt": ahead[25]}) == [("/sourceUpdatedAt", "OUT_OF_RANGE")]


def test_many_problems_are_counted() -> None:
    """A hundred problems are told, and how many there are more."""
    error = refusal([Problem(f"/{i}", "X", "expected x") for i in range(PROBLEMS_SHOWN + 7)], "/customer")
    assert isinstance(error, ValidationFailed)
    assert len(error.problems) == PROBLEMS_SHOWN + 1
    assert error.problems[0].path == "/customer/0"
    assert (error.problems[-1].code, error.problems[-1].message) == ("MORE_PROBLEMS", "and 7 more")
    assert isinstance(error, RetailOSError)
