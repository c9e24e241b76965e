"""Headers that say for which state, or how often, a request is to be done are heeded or refused, never passed over."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from retailos.api.call import Operation
from retailos.api.server import all_operations
from tests.contract.conftest import Api, check_envelope
from tests.contract.described import described, operations_of
from tests.contract.test_hostile import path_of

#: Each header with a value that it may have.
SENT = {"If-Match": '"1"', "If-None-Match": "*", "Idempotency-Key": "once-and-for-all"}
#: The refusal of one of them.
REFUSAL = re.compile(r"expected no (If-Match|If-None-Match|Idempotency-Key) here")


def heeded() -> Iterator[tuple[str, str, str]]:
    """Method, path without names, and header of what the documents say that an operation takes."""
    for kind in ("public", "admin"):
        document = described(kind)
        for method, path, operation in operations_of(document):
            for each in operation.get("parameters", ()):
                if each["in"] == "header" and each["name"] in SENT:
                    yield method.upper(), shape(path), each["name"]


def shape(path: str) -> str:
    """A path without the names of its variables."""
    return re.sub(r"\{\w+\}", "{}", path)


def relied_on(operation: Operation, header: str) -> bool:
    """Whether somebody who sends a header relies on it: what is read, or is the same twice by itself, needs none."""
    return operation.method != "GET" and (header != "Idempotency-Key" or operation.method == "POST")


async def refused(api: Api, operation: Operation, header: str) -> bool:
    """Whether an operation refuses a header for what it is; what else is wrong with the request is not asked."""
    answer = await api.request(
        operation.method, path_of(operation), json={}, headers={header: SENT[header]}, key=api.admin_key
    )
    error = check_envelope(answer)["error"]
    found = REFUSAL.match(error["message"]) if error else None
    assert found is None or (answer.status, error["code"], found[1]) == (400, "BAD_REQUEST", header)
    return found is not None


@pytest.mark.parametrize("header", SENT)
async def test_a_header_is_heeded_as_documented_or_refused(shop: Api, header: str) -> None:
    """Every operation that does not document such a header refuses it, and every one that does takes it."""
    known, wrong = set(heeded()), []
    for each in all_operations(shop.engine):
        if relied_on(each, header):
            documented = (each.method, shape(each.path), header) in known
            if await refused(shop, each, header) is documented:
                wrong.append(f"{each.method} {each.path}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("condition", [{"If-Match": '"7"'}, {"If-Match": "*"}, {"If-None-Match": "*"}])
async def test_a_condition_of_many_or_of_a_new_record_is_refused(shop: Api, condition: dict[str, str]) -> None:
    """In bulk and on a POST there is no one record that a condition could be of: 400, and nothing is written."""
    await shop.put("/customers/kept", {"firstName": "Ada"})
    before = await shop.stored()
    body: dict[str, Any] = {"externalCustomerId": "kept", "firstName": "Eve"}
    answers = [
        await shop.put("/customers", {"customers": [body]}, headers=condition),
        await shop.put("/customers?errorPolicy=rejectEverything", {"customers": [body]}, headers=condition),
        await shop.post("/customers", {"firstName": "Eve"}, headers=condition),
    ]
    for answer in answers:
        assert next(iter(condition)) in check_envelope(answer, 400)["error"]["message"]
    assert await shop.stored() == before
    assert (await shop.get("/customers/kept")).result["firstName"] == "Ada"


async def test_who_may_not_call_is_told_that_first(shop: Api) -> None:
    """Whoever has no key, or not the scope, learns nothing of what the route takes."""
    assert (await shop.put("/customers", {}, headers={"If-Match": "*"}, key="")).status == 401
