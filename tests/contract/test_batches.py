"""Batches: many records in one request, a verdict for each of them, and what becomes of those that are not taken."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from retailos.receiver import Behaviour, Received, Receiver
from tests.conftest import eventually
from tests.contract.conftest import Api, codes
from tests.contract.delivering import all_settled, delivery, settled, webhook, working

ADA = {"firstName": "Ada", "lastName": "Lovelace"}


async def batch_webhook(api: Api, receiver: Receiver, size: int = 10, **fields: Any) -> int:
    """Add a webhook that tells the receiver of so many records at once; its id."""
    told: dict[str, Any] = {"url": f"{receiver.url}/v1/retailos/customers", "batchSize": size, "retryLimit": 0}
    return await webhook(api, receiver, **told | fields)


async def write(api: Api, names: Sequence[str], **fields: Any) -> None:
    """Write customers by these external ids at once."""
    customers = [ADA | {"externalCustomerId": name} | fields for name in names]
    answer = await api.put("/customers", {"customers": customers})
    assert answer.status == 200, answer.body


def ids(received: Received) -> list[str]:
    """The external ids in a batch, in its order."""
    [(plural, records)] = received.json().items()
    assert plural == "customers"
    return [each["externalCustomerId"] for each in records]


def verdicts(said: Callable[[str], Any]) -> Callable[[Received], Behaviour]:
    """Answer each record of a batch with an error, as told; None takes it."""

    def answer(received: Received) -> Behaviour:
        results = [{"externalCustomerId": each, "error": said(each)} for each in ids(received)]
        return Behaviour(body=msgspec.json.encode({"results": results}))

    return answer


NAMES = tuple(f"c-{number}" for number in range(10))


async def test_records_go_out_together(api: Api) -> None:
    """A batch is one request: the entire objects in an array under the plural's name, and headers that fit all."""
    async with Receiver.listen() as receiver:
        made = await batch_webhook(api, receiver)
        await write(api, NAMES)
        async with working(api):
            await all_settled(api)
        [received] = receiver.received
        assert (received.method, received.path) == ("PUT", "/v1/retailos/customers")
        assert sorted(ids(received)) == sorted(NAMES)
        told = received.json()["customers"][0]
        shown = (await api.get(f"/customers/external/{told['externalCustomerId']}")).result
        assert told.items() >= shown.items()
        assert {name.lower() for name, _ in received.raw_headers if name.startswith(b"X-Ra-")} == {
            b"x-ra-request-id",
            b"x-ra-batch-size",
            b"x-ra-resource",
        }
        assert received.header("x-ra-batch-size") == "10"
        history = (await delivery(api, made, "c-3"))["attemptHistory"]
        assert [each["batch"]["size"] for each in history] == [10]
        assert history[0]["requestId"] == received.header("x-ra-request-id")
        assert history[0]["responseBody"]["results"][0]["error"] is None
        assert history[0]["url"] == f"{receiver.url}/v1/retailos/customers"


async def test_a_batch_has_its_size(api: Api) -> None:
    """No request has more records than batchSize, and none is larger than batchBytes; nothing is left out."""
    async with Receiver.listen() as receiver:
        await batch_webhook(api, receiver, 4)
        small = await batch_webhook(api, receiver, 1000, name="small", url=f"{receiver.url}/small", batchBytes=4000)
        await write(api, NAMES, details={"text": "ä" * 300})
        async with working(api):
            await all_settled(api)
        sized = [each for each in receiver.received if each.path != "/small"]
        assert sorted(len(ids(each)) for each in sized) == [2, 4, 4]
        narrow = [each for each in receiver.received if each.path == "/small"]
        assert sorted(name for each in narrow for name in ids(each)) == sorted(NAMES)
        assert all(len(each.body) <= 4000 for each in narrow)
        assert max(len(ids(each)) for each in narrow) > 1
        assert (await delivery(api, small, "c-3"))["attemptHistory"][0]["batch"]["bytes"] <= 4000


async def test_a_record_that_is_too_large_goes_alone(api: Api) -> None:
    """A record that is larger than batchBytes is sent all the same, with no others."""
    async with Receiver.listen() as receiver:
        await batch_webhook(api, receiver, batchBytes=1000)
        await write(api, NAMES[:2], details={"text": "x" * 3000})
        async with working(api):
            await all_settled(api)
        assert [len(ids(each)) for each in receiver.received] == [1, 1]
        assert all(each.json().keys() == {"customers"} for each in receiver.received)


async def test_a_batch_waits_to_be_full(api: Api) -> None:
    """With batchWait a delivery waits for others, and no longer: a full batch goes at once, the rest in time."""
    async with Receiver.listen() as receiver, working(api):
        made = await batch_webhook(api, receiver, 5, batchWait=600)
        await write(api, NAMES[:4])
        # Another webhook's delivery, claimed later, shows that the first had its chance.
        await webhook(api, receiver, name="single")
        await api.put("/customers/other", ADA)
        [full] = await receiver_of_batches(receiver, 1)
        assert sorted(ids(full)) == sorted([*NAMES[:4], "other"])
        await write(api, NAMES[4:7])
        answer = await api.admin("PUT", f"/webhooks/{made}", json={"batchWait": 0.2})
        assert answer.status == 200
        [_, rest] = await receiver_of_batches(receiver, 2)
        assert sorted(ids(rest)) == sorted(NAMES[4:7])


async def receiver_of_batches(receiver: Receiver, count: int) -> list[Received]:
    """Wait for so many batches, and give them."""

    def batches(each: Receiver) -> list[Received]:
        return [received for received in each.received if received.header("x-ra-batch-size")]

    await receiver.wait_until(lambda each: len(batches(each)) >= count)
    return batches(receiver)


async def test_each_record_has_its_own_verdict(api: Api) -> None:
    """Of one batch some records are taken and some are not; what is not is attempted again as the policy says."""
    error = {"code": "VALIDATION_ERROR", "message": "no e-mail"}
    answer = verdicts(lambda name: error if name == "c-3" else None)
    async with Receiver.listen(behaviour=answer) as receiver:
        made = await batch_webhook(api, receiver, retryLimit=2, retryDelay=0.01)
        await write(api, NAMES)
        async with working(api):
            refused = await settled(api, made, "c-3", "failed")
        assert [ids(each) for each in list(receiver.received)[1:]] == [["c-3"], ["c-3"]]
        assert (refused["errorClass"], refused["acknowledged"], refused["attempts"]) == ("record_refused", 0, 3)
        history = refused["attemptHistory"]
        assert [(each["number"], each["batch"]["size"]) for each in history] == [(3, 1), (2, 1), (1, 10)]
        assert {each["detail"] for each in history} == {"no e-mail"}
        assert {each["status"] for each in history} == {200}
        assert history[2]["responseBody"] == {"externalCustomerId": "c-3", "error": error}
        taken = await delivery(api, made, "c-4")
        assert (taken["status"], taken["acknowledged"], taken["errorClass"]) == ("delivered", 1, None)
        assert [each["errorClass"] for each in taken["attemptHistory"]] == [None]


async def test_what_an_answer_does_not_name_was_not_taken(api: Api) -> None:
    """A record that is missing in the answer has failed; an id that nobody sent is passed over with a warning."""
    results = [{"externalCustomerId": name, "error": None} for name in (*NAMES[1:], "stranger", NAMES[1])]
    answer = Behaviour(body=msgspec.json.encode({"results": results}))
    async with Receiver.listen(behaviour=answer) as receiver, working(api):
        made = await batch_webhook(api, receiver)
        await write(api, NAMES)
        missing = await settled(api, made, NAMES[0], "failed")
        assert missing["errorClass"] == "invalid_batch_answer"
        [attempt] = missing["attemptHistory"]
        assert attempt["detail"] == "the answer does not name the record"
        assert attempt["batch"]["warnings"] == [
            "item 9 of the answer names no record of the batch",
            "item 10 of the answer names a record again",
        ]
        assert (await settled(api, made, NAMES[1]))["acknowledged"] == 1


UNREADABLE = {
    "nothing": b"",
    "no JSON": b"OK",
    "the guide's sample": b'{"customerId": "c-1", "error" null}',
    "another object": b'{"error": null}',
    "a text": b'"results"',
    "a key twice": b'{"results": [], "results": []}',
    "depths": b"[" * 100_000,
    "more than may be": b'{"results": [' + b" " * 200_000 + b"]}",
    "NUL": b'{"results": [\x00]}',
    "latin 1": '{"é": []}'.encode("latin-1"),
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
async def test_an_answer_that_can_not_be_read_takes_nothing(api: Api, body: bytes) -> None:
    """A 2xx whose body is not as agreed has taken none of the records."""
    async with Receiver.listen(behaviour=Behaviour(body=body)) as receiver, working(api):
        made = await batch_webhook(api, receiver)
        await write(api, NAMES[:2])
        for name in NAMES[:2]:
            shown = await settled(api, made, name, "failed")
            assert (shown["errorClass"], shown["ambiguous"]) == ("invalid_batch_answer", False)
            assert shown["attemptHistory"][0]["status"] == 200


async def test_a_long_answer_is_read_whole_and_kept_in_part(api: Api) -> None:
    """The answer to many records may be longer than what is kept of it."""
    names = [f"r-{number}" for number in range(300)]
    answer = verdicts(lambda name: {"message": "x" * 300} if name != "r-7" else None)
    async with Receiver.listen(behaviour=answer) as receiver, working(api):
        made = await batch_webhook(api, receiver, 1000)
        await write(api, names)
        taken = await settled(api, made, "r-7")
        [attempt] = taken["attemptHistory"]
        assert (attempt["responseTruncated"], len(attempt["responseBody"])) == (True, 65_536)
        refused = await settled(api, made, "r-299", "failed")
        assert refused["attemptHistory"][0]["responseBody"]["externalCustomerId"] == "r-299"


@pytest.mark.parametrize(
    ("fields", "status", "answer"),
    [
        ({}, 200, {"customers": [{"externalCustomerId": "a"}, {"externalCustomerId": "b", "error": "no"}]}),
        ({}, 201, [{"externalCustomerId": "a", "error": None}, {"externalCustomerId": "b", "error": {}}]),
        ({"batchAnswer": "multistatus"}, 207, {"results": [
            {"externalCustomerId": "a", "status": 201}, {"externalCustomerId": "b", "status": 409}]}),
        ({"batchAnswer": "batchItemFailures"}, 200, {"batchItemFailures": [{"itemIdentifier": "b"}]}),
        ({"batchAnswerList": "/meta/rows", "batchAnswerId": "/key/0", "batchAnswerError": "/why"}, 200, {"meta": {
            "rows": [{"key": ["a"], "why": None}, {"key": ["b"], "why": "no"}]}}),
    ],
    ids=["plural", "array", "multistatus", "failures", "pointers"],
)  # fmt: skip
async def test_an_answer_is_read_as_agreed(api: Api, fields: dict[str, Any], status: int, answer: Any) -> None:
    """There are agreements by name, and pointers for receivers that answer in another way."""
    behaviour = Behaviour(status=status, body=msgspec.json.encode(answer))
    async with Receiver.listen(behaviour=behaviour) as receiver, working(api):
        made = await batch_webhook(api, receiver, **fields)
        await write(api, ("a", "b"))
        assert (await settled(api, made, "a"))["acknowledged"] == 1
        assert (await settled(api, made, "b", "failed"))["acknowledged"] == 0
        assert receiver.count == 1


@pytest.mark.parametrize(("status", "error"), [(410, "http_4xx"), (503, "http_5xx")])
async def test_what_is_said_of_a_record_is_not_said_of_the_receiver(api: Api, status: int, error: str) -> None:
    """A record that is gone or has to wait, as a 207 says, neither pauses its webhook nor opens the breaker."""

    def answer(received: Received) -> Behaviour:
        said = [{"externalCustomerId": name, "status": 200 if name == "a" else status} for name in ids(received)]
        return Behaviour(status=207, body=msgspec.json.encode(said))

    async with Receiver.listen(behaviour=answer) as receiver, working(api):
        made = await batch_webhook(api, receiver, batchAnswer="multistatus", breakerFailures=1)
        await write(api, ("a", "b"))
        assert (await settled(api, made, "b", "failed"))["errorClass"] == error
        found = (await api.admin("GET", f"/deliveries?httpStatus={status}")).result["rows"]
        assert [each["externalId"] for each in found] == ["b"]
        await write(api, ("a",), title="Ms")

        async def again() -> bool:
            return bool((await delivery(api, made, "a"))["acknowledged"] == 2)

        assert await eventually(again)
        assert (await api.admin("GET", f"/webhooks/{made}")).result["active"] is True


async def test_errors_can_be_named_by_their_place(api: Api) -> None:
    """Where only errors are told, by the place in the batch from 0, all the others were taken."""
    places: list[str] = []

    def answer(received: Received) -> Behaviour:
        places.extend(ids(received))
        return Behaviour(body=b'{"errors": [{"index": 1, "error": {"message": "no"}}]}')

    async with Receiver.listen(behaviour=answer) as receiver, working(api):
        made = await batch_webhook(api, receiver, batchAnswer="errors")
        await write(api, ("a", "b", "c"))
        await receiver.expect(1)
        assert (await settled(api, made, places[1], "failed"))["errorClass"] == "record_refused"
        for place in (0, 2):
            assert (await settled(api, made, places[place]))["acknowledged"] == 1


async def test_the_status_alone_can_be_agreed(api: Api) -> None:
    """With batchAnswer `status` a 2xx takes all, whatever its body."""
    async with Receiver.listen(behaviour=Behaviour(status=204)) as receiver, working(api):
        await batch_webhook(api, receiver, batchAnswer="status")
        await write(api, NAMES)
        await all_settled(api)
        assert receiver.count == 1


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_poisonous_record_fails_alone(api: Api, status: int) -> None:
    """A batch that is refused as a whole is halved until the record that spoils it stands alone; the rest is taken."""
    names = [f"r-{number:02}" for number in range(64)]

    def answer(received: Received) -> Behaviour:
        if "r-37" in ids(received):
            return Behaviour(status=status, body=b'{"error": "row is bad"}')
        return verdicts(lambda name: None)(received)

    async with Receiver.listen(behaviour=answer) as receiver, working(api):
        made = await batch_webhook(api, receiver, 64)
        await write(api, names)
        refused = await settled(api, made, "r-37", "failed")
        assert refused["attempts"] == 1
        history = refused["attemptHistory"]
        assert [(each["number"], each["batch"]["size"]) for each in history] == [
            (1, 1), (1, 2), (1, 4), (1, 8), (1, 16), (1, 32), (1, 64),
        ]  # fmt: skip
        assert {(each["status"], each["errorClass"]) for each in history} == {(status, "http_4xx")}
        assert history[0]["responseBody"] == {"error": "row is bad"}
        for name in names:
            if name != "r-37":
                await settled(api, made, name)
        assert receiver.count == 13


async def test_a_receiver_that_takes_less_gets_less(api: Api) -> None:
    """A 413 makes the batches that follow smaller, until they are taken."""
    taken: list[int] = []

    def answer(received: Received) -> Behaviour:
        if len(received.body) > 5_000:
            return Behaviour(status=413)
        taken.append(len(ids(received)))
        return verdicts(lambda name: None)(received)

    async with Receiver.listen(behaviour=answer) as receiver, working(api):
        await batch_webhook(api, receiver, 64)
        await write(api, [f"r-{number}" for number in range(64)])
        await all_settled(api)
        assert sum(taken) == 64
        refused = receiver.answered[413]
        assert 0 < refused < 64
        await write(api, [f"s-{number}" for number in range(64)])
        await all_settled(api)
        assert sum(taken) == 128
        assert receiver.answered[413] == refused


async def test_no_answer_to_a_batch_leaves_doubt_about_each(api: Api) -> None:
    """A batch without an answer is a failure of all its records, and each of them may have been taken."""
    async with Receiver.listen(behaviour=Behaviour(hang=True)) as receiver, working(api):
        made = await batch_webhook(api, receiver, timeout=1)
        await write(api, NAMES[:2])
        for name in NAMES[:2]:
            shown = await settled(api, made, name, "failed")
            assert (shown["errorClass"], shown["ambiguous"]) == ("timeout", True)


async def test_a_change_during_a_batch_is_sent_after_it(api: Api) -> None:
    """A record that changes while its batch is under way is owed again, and never two requests of it are under way."""
    async with Receiver.listen(behaviour=Behaviour(delay_seconds=2)) as receiver, working(api):
        made = await batch_webhook(api, receiver)
        await write(api, NAMES[:3])
        await receiver.expect(1)
        await api.put("/customers/c-1", ADA | {"title": "Ms"})
        shown = await settled(api, made, "c-1")
        assert shown["acknowledged"] == 2
        versions = [
            each["version"]
            for received in receiver.received
            for each in received.json()["customers"]
            if each["externalCustomerId"] == "c-1"
        ]
        assert versions == [1, 2]


async def test_a_batch_has_no_records_field_in_its_url(api: Api) -> None:
    """A URL of one record and a DELETE of one are refused for batches, field by field, also when batches come later."""
    told = {"name": "b", "resource": "customer", "url": "http://127.0.0.1/{externalCustomerId}/{id}", "batchSize": 2}
    answer = await api.admin("POST", "/webhooks", json=told)
    assert answer.status == 400
    assert codes(answer) == [("/url", "TEMPLATE_IN_BATCH")] * 2
    deleting = await api.admin("POST", "/webhooks", json=told | {"url": "http://127.0.0.1/all", "onDelete": "delete"})
    assert codes(deleting) == [("/onDelete", "DELETE_IN_BATCH")]
    single = await api.admin("POST", "/webhooks", json=told | {"batchSize": 1})
    changed = await api.admin("PUT", f"/webhooks/{single.result['id']}", json={"batchSize": 100})
    assert changed.status == 400


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("batchSize", 0, "OUT_OF_RANGE"),
        ("batchSize", 1001, "OUT_OF_RANGE"),
        ("batchSize", "2", "WRONG_TYPE"),
        ("batchBytes", 10_000_001, "OUT_OF_RANGE"),
        ("batchBytes", 999, "OUT_OF_RANGE"),
        ("batchWait", 3601, "OUT_OF_RANGE"),
        ("batchAnswer", "anything", "UNKNOWN_CHOICE"),
        ("batchAnswerList", "results", "INVALID_POINTER"),
        ("batchAnswerId", "/~2", "INVALID_POINTER"),
        ("batchAnswerError", "/" + "x" * 200, "TOO_LONG"),
    ],
)
async def test_settings_of_batches_are_checked(api: Api, field: str, value: Any, code: str) -> None:
    """A setting that no batch can have is refused, with a pointer at it."""
    told = {"name": "b", "resource": "customer", "url": "http://127.0.0.1/all", field: value}
    answer = await api.admin("POST", "/webhooks", json=told)
    assert answer.status == 400
    assert codes(answer) == [(f"/{field}", code)]
