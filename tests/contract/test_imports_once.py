"""A file that is sent with an Idempotency-Key is one import, however often and by however many at once it is sent."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.conftest import eventually
from tests.contract.conftest import Api, Response, check_envelope, read
from tests.contract.importing import applied, as_csv, ndjson, send
from tests.contract.test_answers import AGED, keyed

HEADER = ["externalCustomerId", "firstName"]


@pytest.fixture
def number(numbers: Iterator[int]) -> int:
    """A number for keys and external ids that no other test uses."""
    return next(numbers)


def file(number: int, name: str = "Ada") -> bytes:
    """A file of three customers."""
    return as_csv([HEADER, *([f"once-{number}-{i}", name] for i in range(3))])


async def sent(api: Api, number: int, data: bytes, form: str = "csv", **more: Any) -> Response:
    """Send a file under the key of a number."""
    return await send(api, data, form, headers=keyed(number) | more.pop("headers", {}), **more)


@asynccontextmanager
async def half_sent(api: Api, number: int, data: bytes) -> AsyncIterator[tuple[Any, asyncio.StreamWriter]]:
    """A file of which all but the last byte is on its way, under the key of a number."""
    head = f"POST /v2/public/imports?resource=customer HTTP/1.1\r\nHost: x\r\nAuthorization: API_KEY {api.key}\r\n"
    head += f"Idempotency-Key: key-{number}\r\nContent-Type: text/csv\r\nConnection: close\r\n"
    before = (await api.stored())["import"]
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    try:
        writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data[:-1])

        async def begun() -> bool:
            return (await api.stored())["import"] > before

        assert await eventually(begun)
        yield reader, writer
    finally:
        writer.close()


async def test_a_file_that_comes_again_is_the_import_that_it_was(shop: Api, number: int) -> None:
    """The same file under the same key has the answer that it had, also once it is applied, and is applied once."""
    first = await sent(shop, number, file(number))
    done = await applied(shop, first)
    before = await shop.stored()
    again = await sent(shop, number, file(number))
    assert (again.status, again.result, again.headers["location"]) == (202, first.result, first.headers["location"])
    assert [each.headers.get("idempotency-replayed") for each in (first, again)] == [None, "true"]
    assert check_envelope(again)["meta"]["requestId"] != check_envelope(first)["meta"]["requestId"]
    assert await shop.stored() == before
    assert (await shop.get(f"/imports/{first.result['id']}")).result == done
    assert done["outcomes"] == {"created": 3}


async def test_without_a_key_each_file_is_an_import(shop: Api, number: int) -> None:
    """Without a key, or with another, the same file is another import."""
    answers = [await send(shop, file(number)), await send(shop, file(number))]
    answers += [await sent(shop, number, file(number)), await send(shop, file(number), headers=keyed(f"{number}-b"))]
    assert len({each.result["id"] for each in answers}) == 4
    other = await sent(shop, number, file(number), key=shop.admin_key)
    assert other.result["id"] not in {each.result["id"] for each in answers}


async def test_another_file_under_the_same_key_is_refused(shop: Api, number: int) -> None:
    """A key that comes with another file, other parameters or in another form is a mistake of the sender's."""
    packed = gzip.compress(file(number))
    assert (await sent(shop, number, file(number))).status == 202
    before = await shop.stored()
    answers = [
        await sent(shop, number, file(number, "Eve")),
        await sent(shop, number, file(number)[:-1]),
        await sent(shop, number, file(number), query="resource=customer&maxErrorRate=0.5"),
        await sent(shop, number, packed, headers={"Content-Encoding": "gzip"}),
        await sent(shop, number, ndjson([{"externalCustomerId": "once", "firstName": "Ada"}]), "ndjson"),
        await sent(shop, number, b""),
    ]
    for answer in answers:
        assert check_envelope(answer, 422)["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert await shop.stored() == before


async def test_a_file_that_was_refused_leaves_its_key_free(shop: Api, number: int) -> None:
    """A file that is damaged had no effect, so its key may come again with one that is put right."""
    broken = await sent(shop, number, as_csv([["externalCustomerId", "fristName"], ["x", "Ada"]]))
    right, again = [await sent(shop, number, file(number)) for _ in range(2)]
    assert [broken.status, right.status, again.status] == [400, 202, 202]
    assert right.result == again.result


async def test_an_upload_that_breaks_off_leaves_its_key_free(shop: Api, number: int) -> None:
    """Where the caller goes away in the middle, whoever sends the whole file has it imported."""
    async with half_sent(shop, number, file(number)):
        pass
    answer = await sent(shop, number, file(number))
    assert (answer.status, answer.headers.get("idempotency-replayed")) == (202, None)


@pytest.mark.parametrize(("name", "status"), [("Ada", 202), ("Eve", 422)])
async def test_of_two_uploads_under_one_key_the_first_to_end_counts(
    shop: Api, number: int, name: str, status: int
) -> None:
    """A file that ends while another is still coming is the import, and of the other one nothing stays."""
    before = await shop.stored()
    async with half_sent(shop, number, file(number, name)) as (reader, writer):
        quick = await sent(shop, number, file(number))
        writer.write(file(number, name)[-1:])
        slow = read(await reader.read())
    assert (quick.status, slow.status) == (202, status)
    assert status == 422 or (slow.result, slow.headers["idempotency-replayed"]) == (quick.result, "true")
    after = await shop.stored()
    made = {each: after[each] - before[each] for each in ("import", "import_chunk", "answer")}
    assert made == {"import": 1, "import_chunk": 1, "answer": 1}


async def test_many_at_once_make_one_import(shop: Api, number: int) -> None:
    """Ten requests at once with one file and one key make one import; each has it for an answer, or comes again."""
    before = await shop.stored()
    answers = await asyncio.gather(*(sent(shop, number, file(number)) for _ in range(10)))
    assert {each.status for each in answers} <= {202, 409}
    assert len({each.result["id"] for each in answers if each.status == 202}) == 1
    after = await shop.stored()
    assert {each: after[each] - before[each] for each in ("import", "import_chunk")} == {"import": 1, "import_chunk": 1}


async def test_a_key_of_a_file_counts_for_a_day(shop: Api, number: int) -> None:
    """After 24 hours the same file under the same key is another import."""
    first = await sent(shop, number, file(number))
    await shop.engine.pool.execute(AGED)
    again = await sent(shop, number, file(number))
    assert (again.status, again.headers.get("idempotency-replayed")) == (202, None)
    assert again.result["id"] != first.result["id"]


async def test_two_keys_in_one_request_are_refused(shop: Api, number: int) -> None:
    """Which of two keys would count, nobody can know, and no file is kept for that."""
    before = await shop.stored()
    refused = await sent(shop, number, file(number), headers={"idempotency-key": "other"})
    assert (refused.status, refused.error["code"]) == (400, "BAD_REQUEST")
    assert await shop.stored() == before
