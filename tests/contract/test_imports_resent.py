"""A file that is sent again as it was is not read again, and nobody can tell but by the time it takes."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest

from retailos.database.pool import transaction
from retailos.imports.apply import Hold, apply_chunk
from retailos.imports.rows import Row, layout_of
from retailos.imports.runner import read_chunk
from retailos.records.form import Same
from retailos.records.resent import SAMPLE
from retailos.resources import RESOURCES
from tests.contract.conftest import Api, Response
from tests.contract.importing import applied, as_csv, ndjson, refused_rows, runner_of, send
from tests.contract.test_by_pair import pair
from tests.contract.test_natural_keys import a_variant, on_hand, stock
from tests.contract.test_resent import PAST_THE_PROGRAM, bodies, outcomes, sent

__all__ = ["pair"]

CUSTOMER = RESOURCES["customer"]
FORMS = pytest.mark.parametrize("form", ["csv", "ndjson"])


def file(form: str, rows: Sequence[dict[str, Any]]) -> bytes:
    """Customers as a file."""
    if form == "ndjson":
        return ndjson(rows)
    cells = [[msgspec.json.encode(each[n]).decode() if n == "details" else each[n] for n in each] for each in rows]
    return as_csv([list(rows[0]), *cells])


async def imported(api: Api, form: str, rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """What came of a file's rows."""
    done = await applied(api, await send(api, file(form, rows), form))
    assert done["status"] == "completed"
    found: dict[str, int] = done["outcomes"]
    return found


async def known(api: Api, form: str, prefix: str) -> list[dict[str, Any]]:
    """Customers whose file came until it is known that they are as it says."""
    rows = bodies(prefix, title="Ms", details={"tier": prefix})
    assert [await imported(api, form, rows) for _ in range(2)] == [{"created": len(rows)}, {"unchanged": len(rows)}]
    return rows


async def begun(api: Api, answer: Response, form: str, rows: Sequence[dict[str, Any]]) -> tuple[Hold, Sequence[Row]]:
    """An import whose first chunk was read and is not applied yet."""
    header = ",".join(rows[0]) if form == "csv" else None
    runner, layout = runner_of(api), layout_of(RESOURCES, CUSTOMER, header)
    hold = Hold(import_id=UUID(answer.result["id"]), layout=layout, runner=runner.id, lease_seconds=60.0)
    claim = "update import set status = 'active', runner = $1, lease_until = now() + interval '1 h' where id = $2"
    await api.engine.pool.execute(claim, runner.id, hold.import_id)
    read = await read_chunk(runner, layout, hold, 1)
    assert read is not None
    return hold, read


async def changed_unseen(api: Api, external_id: str) -> None:
    """Change a customer so that only who reads what is sent of it sees it."""
    await api.engine.pool.execute(PAST_THE_PROGRAM, external_id)


@FORMS
async def test_a_file_that_is_known_is_not_read(shop: Api, form: str) -> None:
    """While a record's version stands, its row is not held against it, and has its job as ever; another row is."""
    rows = await known(shop, form, f"unread-{form}")
    name = rows[7]["externalCustomerId"]
    await changed_unseen(shop, name)
    answer = await send(shop, file(form, rows), form)
    assert (await applied(shop, answer))["outcomes"] == {"unchanged": len(rows)}
    jobs = (await shop.get(f"/jobs?batchId={answer.result['id']}&externalId={name}")).result["rows"]
    assert [(job["outcome"], job["version"], job["index"]) for job in jobs] == [
        ("unchanged", 1, 8 if form == "ndjson" else 9)
    ]
    rows[7]["title"] = "Miss"
    assert await imported(shop, form, rows) == {"unchanged": len(rows) - 1, "updated": 1}
    assert (await shop.get(f"/customers/external/{name}")).result["title"] == "Miss"


@FORMS
async def test_what_changed_while_its_chunk_waited_is_set_back(shop: Api, form: str) -> None:
    """A chunk is read while the one before is applied: what that changes, or anybody, is written as the row says."""
    rows = await known(shop, form, f"ahead-{form}")
    answer = await send(shop, file(form, rows), form)
    hold, read = await begun(shop, answer, form, rows)
    assert all(isinstance(row.read, Same) for row in read)
    await shop.put(f"/customers/ahead-{form}-0", {"firstName": "Eve"})
    await shop.request("DELETE", f"/v2/public/customers/external/ahead-{form}-1")
    async with transaction(shop.engine.pool) as connection:
        assert await apply_chunk(connection, RESOURCES, hold, 1, read) == "completed"
    done = (await shop.get(f"/imports/{answer.result['id']}")).result
    assert done["outcomes"] == {"updated": 1, "undeleted": 1, "unchanged": len(rows) - 2}
    assert (await shop.get(f"/customers/external/ahead-{form}-0")).result["firstName"] == "Ada 0"


@FORMS
async def test_bad_rows_and_repeated_ones_leave_the_others_known(shop: Api, form: str) -> None:
    """Rows that are refused every night, and records that stand there twice, cost what they are, and no more."""
    rows = await known(shop, form, f"mixed-{form}")
    await changed_unseen(shop, f"mixed-{form}-9")
    twice = [rows[3] | {"firstName": "Eve"}, rows[3]]
    bad = rows[5] | {"externalCustomerId": "", "firstName": "No id"}
    done = await applied(shop, await send(shop, file(form, [*rows, bad, *twice]), form))
    assert (done["failed"], done["outcomes"]) == (1, {"unchanged": len(rows), "updated": 2})
    assert (await shop.get(f"/customers/external/mixed-{form}-3")).result["firstName"] == "Ada 3"
    assert b"No id" in await refused_rows(shop, done["id"])


async def test_one_renamed_record_leaves_the_others_known(shop: Api) -> None:
    """A row that goes by a former id of its record is read; the others are not."""
    rows = await known(shop, "csv", "renamed")
    record_id = (await shop.get("/customers/external/renamed-3")).result["id"]
    await shop.put(f"/customers/id/{record_id}", {"externalCustomerId": "renamed-new", "firstName": "Eve"})
    await changed_unseen(shop, "renamed-9")
    assert await imported(shop, "csv", rows) == {"unchanged": len(rows) - 1, "updated": 1}


@pytest.mark.parametrize("way", ["bulk", "file"])
async def test_by_whichever_name_a_record_comes_last_holds(shop: Api, way: str) -> None:
    """Where a file tells of a record by its former id and then by its new one, the last row holds, known or not."""
    rows = await known(shop, "ndjson", f"names-{way}")
    record_id = (await shop.get(f"/customers/external/names-{way}-3")).result["id"]
    renamed = rows[3] | {"externalCustomerId": f"names-{way}-new"}
    await shop.put(f"/customers/id/{record_id}", renamed)
    newest = [*rows[:3], *rows[4:], renamed]
    for each in (newest, newest, [rows[3] | {"firstName": "Eve"}, *newest]):
        await (sent(shop, each) if way == "bulk" else imported(shop, "ndjson", each))
    assert (await shop.get(f"/customers/external/names-{way}-new")).result["firstName"] == "Ada 3"


async def test_the_same_row_under_another_header_is_read(shop: Api) -> None:
    """What a row of CSV means its header decides, so under another one it is not known."""
    rows = await known(shop, "csv", "header")
    lines = file("csv", rows).split(b"\n", 1)
    swapped = b"externalCustomerId,title,firstName,details\n" + lines[1]
    done = await applied(shop, await send(shop, swapped))
    assert done["outcomes"] == {"updated": len(rows)}
    assert (await shop.get("/customers/external/header-0")).result["title"] == "Ada 0"


async def test_a_line_with_notes_is_known_to_files_alone(shop: Api) -> None:
    """What was refused once and corrected may hold its notes in a file; in a request they are unknown fields."""
    rows = [each | {"_error": "x", "_line": 1} for each in bodies("notes")]
    assert [await imported(shop, "ndjson", rows) for _ in range(2)][1] == {"unchanged": len(rows)}
    assert {code for _, _, code in outcomes(await sent(shop, rows))} == {"VALIDATION_ERROR"}


async def test_stock_of_pairs_is_known_in_files(shop: Api, pair: tuple[str, str], number: int) -> None:
    """Rows of CSV that name a store and a variant are known, too."""
    variants = [await a_variant(shop, number, f"v-{number}-{i}") for i in range(SAMPLE)]
    table = [["store.externalStoreId", "variant.externalVariantId", "onHand"]]
    table += [[pair[0], each, str(i)] for i, each in enumerate(variants)]
    for expected in ("created", "unchanged", "unchanged"):
        done = await applied(shop, await send(shop, as_csv(table), query="resource=stockLevel"))
        assert done["outcomes"] == {expected: SAMPLE}
        past = "update stock_levels set body = body || '{\"onHand\": 99}' where external_id = $1"
        await shop.engine.pool.execute(past, f"{pair[0]}:{variants[7]}") if expected == "unchanged" else None


@pytest.mark.parametrize("way", ["bulk", "file"])
async def test_what_goes_by_pair_and_what_by_name_have_their_turns(
    shop: Api, pair: tuple[str, str], number: int, way: str
) -> None:
    """Where one row names a record that another tells by its pair, the last one holds, though it was known before."""
    variants = [await a_variant(shop, number, f"v-{number}-{i}") for i in range(SAMPLE)]
    rows = [stock(pair[0], each, i, externalStockLevelId=f"own-{number}-{i}") for i, each in enumerate(variants)]
    rows_after = [stock(pair[0], variants[0], 99), *rows]
    for each in (rows, rows, rows_after):
        if way == "bulk":
            assert (await shop.put("/stock-levels", {"stockLevels": each})).status == 200
        else:
            await applied(shop, await send(shop, ndjson(each), "ndjson", query="resource=stockLevel"))
    assert await on_hand(shop, f"own-{number}-0") == 0


@FORMS
async def test_what_waits_is_given_up_by_a_known_row(shop: Api, form: str) -> None:
    """An upsert that waits for a store when a file comes again as it was is superseded, as by any other."""
    rows = await known(shop, form, f"waits-{form}")
    answer = await send(shop, file(form, rows), form)
    hold, read = await begun(shop, answer, form, rows)
    assert all(isinstance(row.read, Same) for row in read)
    late = {"firstName": "Eve", "registeredAt": {"externalStoreId": "nowhere"}}
    waiting = (await shop.put(f"/customers/waits-{form}-2", late)).result[0]
    assert waiting["status"] == "unresolved"
    async with transaction(shop.engine.pool) as connection:
        assert await apply_chunk(connection, RESOURCES, hold, 1, read) == "completed"
    assert (await shop.get(f"/jobs/{waiting['id']}")).result["status"] == "superseded"
    assert (await shop.get(f"/imports/{answer.result['id']}")).result["outcomes"] == {"unchanged": len(rows)}
