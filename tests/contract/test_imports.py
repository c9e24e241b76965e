"""Imports: files of records are taken in, applied in their order, and tell what of them was refused."""

import asyncio
import csv
import gzip
import io
from typing import Any

import msgspec
import pytest

from retailos import keys
from retailos.imports import imports
from retailos.imports.apply import ERROR_ROWS_LEAST
from retailos.imports.runner import tidy
from retailos.imports.upload import CHUNK_BYTES, CHUNK_RECORDS
from tests.conftest import eventually
from tests.contract.conftest import Api, check_envelope, codes
from tests.contract.importing import applied, as_csv, ndjson, refused_rows, runner_of, send

HEADER = ["externalCustomerId", "firstName", "generalMarketing", "address.city", "details"]
ROWS = [
    ["{0}-1", "Ada", "true", "London", '{"tier": "gold", "points": 12.50}'],
    ["{0}-2", "Grace", "FALSE", "", ""],
    ["{0}-3", 'Line one\nsays "two"', "", "Paris; Texas, and more", "{}"],
]


def table(name: str) -> list[list[str]]:
    """Three customers, the cells of one with everything in them that CSV must quote."""
    return [HEADER, *([cell.replace("{0}", name) for cell in row] for row in ROWS)]


def lines(name: str) -> bytes:
    """The same customers as NDJSON, one of them as a webhook sends it."""
    one, two, three = (
        {"externalCustomerId": f"{name}-1", "firstName": "Ada", "generalMarketing": True},
        {"externalCustomerId": f"{name}-2", "firstName": "Grace", "generalMarketing": False},
        {"externalCustomerId": f"{name}-3", "firstName": 'Line one\nsays "two"', "details": {}},
    )
    address = {"address": {"city": "Paris; Texas, and more"}}
    details = {"address": {"city": "London"}, "details": {"tier": "gold", "points": 12.5}}
    return ndjson([{"customer": one | details}, two, three | address])


FILES: dict[str, tuple[str, Any, dict[str, str]]] = {
    "CSV": ("csv", lambda name: as_csv(table(name)), {}),
    "CSV with semicolons": ("csv", lambda name: as_csv(table(name), ";"), {}),
    "CSV with tabs": ("csv", lambda name: as_csv(table(name), "\t"), {}),
    "CSV with a BOM": ("csv", lambda name: b"\xef\xbb\xbf" + as_csv(table(name)), {}),
    "CSV with CR LF": ("csv", lambda name: as_csv(table(name)).replace(b"\n", b"\r\n"), {}),
    "CSV with blank lines and no end": (
        "csv",
        lambda name: as_csv(table(name)).replace(b"FALSE,,\n", b"FALSE,,\n\n \n")[:-1],
        {},
    ),
    "NDJSON": ("ndjson", lines, {}),
    "NDJSON with blank lines": ("ndjson", lambda name: b"\n" + lines(name).replace(b"\n", b"\r\n\n").rstrip(), {}),
    "packed CSV": ("csv", lambda name: gzip.compress(as_csv(table(name))), {"Content-Encoding": "gzip"}),
    "packed NDJSON": ("ndjson", lambda name: gzip.compress(lines(name)), {"Content-Type": "application/gzip"}),
    "NDJSON packed in parts": (
        "ndjson",
        lambda name: b"".join(map(gzip.compress, lines(name).splitlines(keepends=True))) + b"\0" * 9,
        {"Content-Encoding": "gzip"},
    ),
}


@pytest.mark.parametrize("kind", FILES)
async def test_a_file_of_any_form_is_applied(shop: Api, kind: str) -> None:
    """CSV and NDJSON, packed or not, however their lines end, make the same records."""
    form, file, headers = FILES[kind]
    name = kind.replace(" ", "-")
    query = f"resource=customer&format={form}"
    done = await applied(shop, await send(shop, file(name), form, query=query, headers=headers))
    assert (done["status"], done["rows"], done["rowsRead"], done["failed"]) == ("completed", 3, 3, 0)
    assert done["outcomes"] == {"created": 3}
    assert done["startedAt"] <= done["endedAt"]
    first, second, third = [(await shop.get(f"/customers/external/{name}-{n}")).result for n in (1, 2, 3)]
    assert first["details"] == {"tier": "gold", "points": 12.5}
    assert [first["address"], second["address"]] == [{"city": "London"}, None]
    assert [each["generalMarketing"] for each in (first, second, third)] == [True, False, False]
    assert third["firstName"].replace("\r", "") == 'Line one\nsays "two"'
    assert third["address"] == {"city": "Paris; Texas, and more"}


async def test_cells_mean_what_their_fields_are(shop: Api) -> None:
    """Numbers, arrays and references of CSV are read as JSON would be; an empty cell keeps, and \\N clears."""
    await shop.put("/regions/cells", {"name": "North"})
    first = [
        ["externalStoreId", "name", "latitude", "images", "region.externalRegionId", "countryCode", "salesTarget"],
        ["cells-1", "null", "51.5", '["https://x/1.jpg"]', "cells", "GB", "Paris"],
    ]
    second = [first[0], ["cells-1", "Second", "", "", "\\N", "\\N", "7"]]
    query = "resource=store"
    made = await applied(shop, await send(shop, as_csv(first), query=query))
    before = (await shop.get("/stores/external/cells-1?expand=region")).result
    changed = await applied(shop, await send(shop, as_csv(second), query=query))
    after = (await shop.get("/stores/external/cells-1")).result
    assert [made["failed"], changed["outcomes"]] == [1, {"created": 1}]
    rows = list(csv.DictReader(io.StringIO((await refused_rows(shop, made["id"])).decode())))
    assert rows[0]["_error"] == "VALIDATION_ERROR: /salesTarget expected JSON in the cell, got something else"
    first[1][-1] = '"Paris"'
    await applied(shop, await send(shop, as_csv(first), query=query))
    before = (await shop.get("/stores/external/cells-1?expand=region")).result
    await applied(shop, await send(shop, as_csv(second), query=query))
    after = (await shop.get("/stores/external/cells-1")).result
    assert [before["name"], before["latitude"], before["images"]] == ["null", 51.5, ["https://x/1.jpg"]]
    assert [before["region"]["name"], before["countryCode"], before["salesTarget"]] == ["North", "GB", "Paris"]
    assert [after["name"], after["latitude"], after["images"]] == ["Second", 51.5, ["https://x/1.jpg"]]
    assert [after["regionId"], after["countryCode"], after["salesTarget"]] == [None, None, 7]


BAD: list[dict[str, Any]] = [
    {"firstName": "No id"},
    {"externalCustomerId": "bad-1", "firstName": 7},
    {"externalCustomerId": "bad-2", "firstName": "Ada", "emial": "x"},
    {"externalCustomerId": "bad-3", "firstName": "Ada", "registeredAtId": "01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"},
    {"externalCustomerId": "bad-4", "firstName": "Ada", "dob": "1990-06-09", "email": "x"},
    {"externalCustomerId": "bad-5"},
]


async def test_rows_are_refused_as_a_bulk_refuses_them(shop: Api) -> None:
    """A bad row fails alone, with the codes and the pointers that a bulk upsert gives it, and a job that says so."""
    good = {"externalCustomerId": "bad-6", "firstName": "Ada"}
    bulk = await shop.put("/customers", {"customers": BAD})
    done = await applied(shop, await send(shop, ndjson([*BAD, good]), "ndjson"))
    rows = [msgspec.json.decode(each) for each in (await refused_rows(shop, done["id"])).splitlines()]
    expected = [job["error"] for job in bulk.result]
    for i, error in enumerate(expected):
        for problem in error["details"]["errors"]:
            problem["path"] = problem["path"].removeprefix(f"/customers/{i}")
    assert [done["status"], done["rowsRead"], done["failed"], done["outcomes"]] == ["completed", 7, 6, {"created": 1}]
    assert [row.pop("_error") for row in rows] == expected
    assert [row.pop("_line") for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows == BAD
    jobs = (await shop.get(f"/jobs?batchId={done['id']}&status=failed")).result["rows"]
    assert sorted((job["index"], job["error"]["code"]) for job in jobs) == [
        (i, error["code"]) for i, error in enumerate(expected, 1)
    ]
    totals = (await shop.get(f"/batches/{done['id']}")).result
    assert [totals["statuses"], totals["outcomes"]] == [{"completed": 1, "failed": 6}, {"created": 1}]


async def test_what_is_no_json_comes_back_as_text(shop: Api) -> None:
    """A line that is no JSON object fails alone, and comes back with its text and its line."""
    bad = [b'{"externalCustomerId": "x", "firstName": ', b"[1, 2]", b'{"a": 1, "a": 2}', b'"text"', b'"\\ud800"', b"\0"]
    done = await applied(shop, await send(shop, b"\n".join(bad), "ndjson"))
    rows = [msgspec.json.decode(each) for each in (await refused_rows(shop, done["id"])).splitlines()]
    assert [row["_raw"].encode() for row in rows] == bad
    assert [row["_line"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert {row["_error"]["code"] for row in rows} == {"MALFORMED_JSON", "VALIDATION_ERROR"}


@pytest.mark.parametrize("form", ["csv", "ndjson"])
async def test_refused_rows_are_corrected_and_sent_again(shop: Api, form: str) -> None:
    """What comes back is a file of the same format: corrected, it is taken, and what is still wrong comes again."""
    if form == "csv":
        rows = [["externalCustomerId", "dob", "firstName"], [f"{form}-1", "x", "A\nB"], [f"{form}-2", "y", "C"]]
        file = as_csv([*rows, [f"{form}-3", "09/06/1990"]], ";")
    else:
        records = [{"externalCustomerId": f"{form}-{i}", "dob": dob} for i, dob in enumerate("xyz", 1)]
        file = ndjson([each | {"firstName": "A\nB"} for each in records])
    first = await applied(shop, await send(shop, file, form))
    again = (await refused_rows(shop, first["id"])).replace(b"-2;y", b"-2;09/06/1990").replace(b'"y"', b'"09/06/1990"')
    second = await applied(shop, await send(shop, again, form))
    left = await refused_rows(shop, second["id"])
    third = await applied(shop, await send(shop, left.replace(b";x", b";").replace(b'"x"', b"null"), form))
    assert [first["failed"], second["failed"], second["outcomes"]] == [3, 2, {"created": 1}]
    assert left.count(b"_error") == left.count(b"_line") == (1 if form == "csv" else 2)
    assert [third["failed"], third["outcomes"]] == [1, {"created": 1}]
    assert (await shop.get(f"/customers/external/{form}-1")).result["firstName"] == "A\nB"


async def test_rows_of_one_record_are_applied_in_their_order(shop: Api) -> None:
    """An external id may stand in a file as often as it likes: the last row counts, and each is a version."""
    count = CHUNK_RECORDS + 20
    rows = [{"externalCustomerId": f"order-{i % 10}", "firstName": f"N{i}"} for i in range(count)]
    done = await applied(shop, await send(shop, ndjson(rows), "ndjson"))
    records = [(await shop.get(f"/customers/external/order-{i}")).result for i in range(10)]
    assert done["outcomes"] == {"created": 10, "updated": count - 10}
    assert [each["firstName"] for each in records] == [f"N{count - 10 + i}" for i in range(10)]
    assert [each["version"] for each in records] == [count // 10] * 10


async def test_a_row_that_changes_nothing_is_no_version(shop: Api) -> None:
    """A row that finds its record as it says is unchanged, also where the next row of the file changes it."""
    await shop.put("/customers/same", {"firstName": "Ada"})
    rows = [{"externalCustomerId": "same", "firstName": name} for name in ("Ada", "Grace")]
    done = await applied(shop, await send(shop, ndjson(rows), "ndjson"))
    assert done["outcomes"] == {"unchanged": 1, "updated": 1}
    jobs = (await shop.get(f"/jobs?batchId={done['id']}")).result["rows"]
    assert sorted((job["index"], job["outcome"], job["version"]) for job in jobs) == [
        (1, "unchanged", 1),
        (2, "updated", 2),
    ]


async def test_an_alias_and_its_record_may_stand_in_one_file(shop: Api) -> None:
    """Rows that lead to one record by its old external id and by its new one are both applied, in their order."""
    made = (await shop.put("/customers/alias-old", {"firstName": "Ada"})).result[0]["resourceId"]
    await shop.put(f"/customers/id/{made}", {"externalCustomerId": "alias-new", "firstName": "Ada"})
    rows = [{"externalCustomerId": f"alias-{name}", "firstName": name} for name in ("new", "old")]
    done = await applied(shop, await send(shop, ndjson(rows), "ndjson"))
    again = await applied(shop, await send(shop, ndjson(list(reversed(rows))), "ndjson"))
    assert [done["failed"], done["outcomes"]] == [0, {"updated": 2}]
    assert again["outcomes"] == {"unchanged": 1, "updated": 1}
    assert (await shop.get("/customers/external/alias-new")).result["firstName"] == "new"


async def test_a_row_may_refer_to_the_row_before_it(shop: Api) -> None:
    """A tree of regions can be imported from its root down, and a circle is refused."""
    rows = [["externalRegionId", "name", "parent.externalRegionId"]]
    rows += [[f"tree-{i}", f"Level {i}", f"tree-{i - 1}" if i else ""] for i in range(4)]
    done = await applied(shop, await send(shop, as_csv([*rows, ["tree-0", "Root", "tree-3"]]), query="resource=region"))
    leaf = (await shop.get("/regions/external/tree-3?expand=parent")).result
    assert [done["outcomes"], done["failed"], leaf["parent"]["name"]] == [{"created": 4}, 1, "Level 2"]
    assert b"CIRCLE" in msgspec.json.encode((await shop.get(f"/jobs?batchId={done['id']}&status=failed")).result)


async def test_a_value_that_is_taken_fails_alone(shop: Api) -> None:
    """Of users with one user name in a file the first is made, and the others' rows say which value is taken."""
    names = ["ann", "bob", "ann", "cat", "dan", "bob"]
    rows = [[f"taken-{i}", "A", "B", f"{name}-taken"] for i, name in enumerate(names)]
    file = as_csv([["externalUserId", "firstName", "lastName", "username"], *rows])
    done = await applied(shop, await send(shop, file, query="resource=user"))
    refused = csv.DictReader(io.StringIO((await refused_rows(shop, done["id"])).decode()))
    assert done["outcomes"] == {"created": 4}
    assert sorted(each["username"] for each in refused) == ["ann-taken", "bob-taken"]


@pytest.mark.parametrize(
    ("rate", "status", "read"), [("0.5", "failed", 1000), ("1", "completed", 1200), ("0", "failed", 1000)]
)
async def test_a_hopeless_import_is_stopped(shop: Api, rate: str, status: str, read: int) -> None:
    """Once more rows than maxErrorRate allows were refused, the rest is not tried, and the import says why."""
    rows = [{"externalCustomerId": f"hopeless-{i}", "firstName": "Ada" if i < 400 else 7} for i in range(1200)]
    sent = await send(shop, ndjson(rows), "ndjson", query=f"resource=customer&maxErrorRate={rate}")
    done = await applied(shop, sent)
    assert [done["status"], done["rowsRead"], done["failed"]] == [status, read, read - 400]
    assert (done["error"] or {}).get("code") == ("TOO_MANY_FAILED" if status == "failed" else None)
    assert sum(done["outcomes"].values()) == 400


async def test_few_rows_say_nothing_of_the_rest(shop: Api) -> None:
    """Below a hundred rows no share of refused ones stops an import; at a hundred it does."""
    large = "x" * (CHUNK_BYTES // 50)
    rows = [{"externalCustomerId": f"few-{i}", "firstName": large} for i in range(160)]
    sent = await send(shop, ndjson(rows), "ndjson", query="resource=customer&maxErrorRate=0.9")
    done = await applied(shop, sent)
    assert [done["status"], done["rowsRead"], done["rows"]] == ["failed", ERROR_ROWS_LEAST, 160]


async def test_an_import_that_is_cancelled_goes_no_further(shop: Api) -> None:
    """DELETE ends an import that waits; nothing more of it is applied, its bytes go, and a second time is the same."""
    sent = await send(shop, as_csv([["externalCustomerId", "firstName"], ["cancelled-1", "Ada"]]))
    path = f"/v2/public/imports/{sent.result['id']}"
    cancelled = [(await shop.request("DELETE", path)).result for _ in range(2)]
    done = await applied(shop, sent)
    await tidy(runner_of(shop))
    assert cancelled[0] == cancelled[1] == done
    assert [done["status"], done["rowsRead"]] == ["cancelled", 0]
    assert (await shop.get("/customers/external/cancelled-1")).status == 404
    assert (await shop.stored())["import_chunk"] == 0


async def test_imports_are_applied_in_the_order_in_which_they_came(shop: Api) -> None:
    """A later file may refer to what an earlier one brings, and of one record the later file counts."""
    stores = await send(shop, as_csv([["externalStoreId", "name"], ["first", "S"]]), query="resource=store")
    header = ["externalCustomerId", "firstName", "registeredAt.externalStoreId"]
    files = [await send(shop, as_csv([header, ["queue-1", name, "first"]])) for name in ("Ada", "Grace")]
    done = [await applied(shop, each) for each in (stores, *files)]
    assert [each["failed"] for each in done] == [0, 0, 0]
    assert (await shop.get("/customers/external/queue-1")).result["firstName"] == "Grace"


async def test_imports_are_listed(api: Api) -> None:
    """Imports are found by resource and status, newest first, each as it is shown alone."""
    file = as_csv([["externalCustomerId", "firstName"], ["l-1", "Ada"]])
    first, second = await send(api, file), await send(api, file)
    await send(api, as_csv([["externalStoreId", "name"]]), query="resource=store")
    listed = (await api.get("/imports?resource=customer&limit=5")).result["rows"]
    assert [each["id"] for each in listed] == [second.result["id"], first.result["id"]]
    assert listed[1] == (await api.get(f"/imports/{first.result['id']}")).result == first.result
    assert first.headers["location"] == f"/v2/public/imports/{first.result['id']}"
    assert [each["resource"] for each in (await api.get("/imports?status=completed")).result["rows"]] == ["store"]


async def test_a_key_imports_what_it_may_write(shop: Api) -> None:
    """A key needs the scope of the resource that a file is of: to write it, or, to look at the import, either scope."""
    writer, another, reader, other = [
        (await keys.create(shop.engine.pool, name="k", environment="test", scopes=(scope,), pepper=None)).key
        for scope in ("customer:write", "customer:write", "customer:read", "store:write")
    ]
    file = as_csv([["externalCustomerId", "firstName"], ["scope-1", "Ada"]])
    assert check_envelope(await send(shop, file, key=reader), 403)
    assert check_envelope(await send(shop, file, key=other), 403)
    path = f"/imports/{(await send(shop, file, key=writer)).result['id']}"
    for tail, of_another in (("", 200), ("/results", 403)):
        seen = [(await shop.get(path + tail, key=key)).status for key in (writer, reader, other, another)]
        assert seen == [200, 200, 403, of_another]
    assert [(await shop.get("/imports?resource=customer", key=key)).status for key in (reader, other)] == [200, 403]
    listed = (await shop.get("/imports", key=other)).result["rows"]
    assert "customer" not in {each["resource"] for each in listed}
    deleted = [(await shop.request("DELETE", f"/v2/public{path}", key=key)).status for key in (reader, other, writer)]
    assert deleted == [403, 403, 200]


async def test_a_key_that_may_not_read_is_given_its_own_rows_alone(shop: Api) -> None:
    """Who may write and not read has the refused rows of his own files, after a rotation too, and nobody else's."""
    file = as_csv([["externalCustomerId", "gender", "email"], ["mine-1", "x" * 300, "ada@example.com"]])
    mine, other = [
        await keys.create(shop.engine.pool, name="k", environment="test", scopes=("customer:write",), pepper=None)
        for _ in range(2)
    ]
    done = await applied(shop, await send(shop, file, key=mine.key))
    assert done["failed"] == 1
    rotated = (await shop.admin("POST", f"/keys/{mine.id}/rotations", json={})).result["key"]
    path = f"/imports/{done['id']}/results"

    async def given(key: str) -> bool:
        return b"ada@example.com" in (await shop.get(path, key=key)).body

    assert [await given(mine.key), await given(shop.key)] == [True, True]
    await eventually(lambda: given(rotated))
    refused = await shop.get(path, key=other.key)
    assert "customer:read" in check_envelope(refused, 403)["error"]["message"]
    assert b"ada@" not in refused.body


async def test_what_is_asked_wrongly_is_refused(shop: Api) -> None:
    """An import says of what and in which format it is; what is unknown or contradicts itself is refused."""
    asked = {
        "": 400,
        "resource=custmer": 400,
        "resource=customer&format=xml": 400,
        "resource=customer&format=ndjson": 415,
        **{f"resource=customer&maxErrorRate={each}": 400 for each in ("1.01", "-1", "x", "", "1e0", "nan", "%D9%A0")},
    }
    assert {each: (await send(shop, b"x", query=each)).status for each in asked} == asked
    for headers in (
        {"Content-Type": "application/json"},
        {"Content-Encoding": "br"},
        {"Content-Type": "text/csv; charset=latin1"},
    ):
        assert check_envelope(await send(shop, b"x", headers=headers), 415)
    untold = await send(shop, b"x", headers={"Content-Type": "application/gzip"})
    assert codes(untold) == [("format", "REQUIRED")]
    assert check_envelope(
        await shop.get(f"/imports/{(await send(shop, b'{}', 'ndjson')).result['id']}/results?status=all"), 400
    )


async def test_an_upload_that_breaks_off_changes_nothing(shop: Api) -> None:
    """Where a caller goes away before its file is here, the import fails and says so, and nothing is applied."""
    rows = as_csv([["externalCustomerId", "firstName"], *([f"broken-{i}", "Ada"] for i in range(1500))])
    head = f"POST /v2/public/imports?resource=customer HTTP/1.1\r\nHost: x\r\nAuthorization: API_KEY {shop.key}\r\n"
    head += f"Content-Type: text/csv\r\nContent-Length: {len(rows) + 1}\r\n\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", shop.port)
    writer.write(head.encode() + rows)

    async def newest(status: str) -> Any:
        listed = (await shop.get("/imports?limit=1")).result["rows"][0]
        return listed if (listed["status"], listed["rows"]) == (status, 1000) else None

    await eventually(lambda: newest("uploading"))
    writer.close()
    failed = await eventually(lambda: newest("failed"))
    assert [failed["rowsRead"], failed["bytes"]] == [0, len(rows)]
    assert failed["error"]["message"] == "The upload broke off; send the file again."
    assert (await shop.get("/customers/external/broken-0")).status == 404


async def test_what_is_over_is_removed(shop: Api) -> None:
    """An upload that shows no sign of life has failed, chunks of what has ended go, and old imports are forgotten."""
    pool = shop.engine.pool
    silent = (await send(shop, as_csv([["externalCustomerId", "firstName"], ["silent", "Ada"]]))).result["id"]
    await pool.execute(
        "update import set status = 'uploading', touched_at = now() - interval '2 minutes' where id = $1", silent
    )
    old = await applied(shop, await send(shop, ndjson([{}]), "ndjson"))
    await pool.execute("update import set ended_at = now() - interval '31 days' where id = $1", old["id"])
    await tidy(runner_of(shop))
    assert (await shop.get(f"/imports/{silent}")).result["error"]["message"].startswith("The upload broke off")
    assert (await shop.get(f"/imports/{old['id']}")).status == 404
    assert await pool.fetchval("select count(*) from import_chunk") == 0
    assert await pool.fetchval("select count(*) from import_failure where import_id = $1", old["id"]) == 0


async def test_refused_rows_are_reached_by_erasure(shop: Api) -> None:
    """What is kept of a person's refused rows can be removed by the external id, in any import."""
    rows = [{"externalCustomerId": f"erased-{i}", "firstName": 7} for i in (1, 2)]
    done = await applied(shop, await send(shop, ndjson(rows), "ndjson"))
    async with shop.engine.pool.acquire() as connection:
        await imports.forget(connection, "customer", ["erased-1"])
    left = await refused_rows(shop, done["id"])
    assert (b"erased-1" in left, b"erased-2" in left) == (False, True)
