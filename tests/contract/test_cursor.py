"""Paging by cursor: every record once, whatever is written between the pages."""

import base64
import itertools

import msgspec
import pytest

from tests.contract.conftest import Api

SORTS = (
    "",
    "-updatedAt",
    "lastName",
    "-lastName,email",
    "dob",
    "-dob",
    "externalCustomerId",
    "-id",
    "telephone,-createdAt",
)


async def fill(api: Api) -> None:
    """Make 23 customers, with ties and gaps in every sort."""
    for i in range(23):
        row = {
            "firstName": f"F{i % 3}",
            "lastName": None if i % 4 == 0 else f"L{i % 5}",
            "email": None if i % 3 == 0 else f"e{i % 7}@example.com",
            "dob": None if i % 5 == 0 else f"0{1 + i % 9}/01/1990",
            "telephone": f"+44 {i % 6}",
        }
        await api.put(f"/customers/c-{i}", row)


async def pages(api: Api, path: str, limit: int) -> list[list[str]]:
    """Follow nextCursor to the end; the external ids page by page."""
    found: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        result = (await api.get(f"{path}&limit={limit}{more}")).result
        found.append([row["externalCustomerId"] for row in result["rows"]])
        assert result["count"] == 23
        cursor = result["nextCursor"]
    return found


@pytest.mark.parametrize("sort", SORTS)
async def test_pages_are_the_list_cut_to_pieces(api: Api, sort: str) -> None:
    """In every order, nulls and ties included, the pages together are the whole list in its order."""
    await fill(api)
    path = f"/customers?fields=externalCustomerId{f'&sort={sort}' if sort else ''}"
    whole = [row["externalCustomerId"] for row in (await api.get(f"{path}&limit=500")).result["rows"]]
    cut = await pages(api, path, 4)
    assert list(itertools.chain(*cut)) == whole
    assert [len(each) for each in cut] == [4, 4, 4, 4, 4, 3]


async def test_a_record_that_moves_to_the_front_hides_none(api: Api) -> None:
    """A record written between two pages moves, and every other still comes once."""
    await fill(api)
    first = (await api.get("/customers?sort=-updatedAt&limit=10")).result
    await api.put("/customers/c-3", {"firstName": "Moved"})
    second = (await api.get(f"/customers?sort=-updatedAt&limit=10&cursor={first['nextCursor']}")).result
    third = (await api.get(f"/customers?sort=-updatedAt&limit=10&cursor={second['nextCursor']}")).result
    names = [row["externalCustomerId"] for each in (first, second, third) for row in each["rows"]]
    assert sorted(names) == sorted(f"c-{i}" for i in range(23) if i != 3)


async def test_the_next_page_is_linked(api: Api) -> None:
    """Link names the next page with the same parameters, and the last page has none."""
    await fill(api)
    first = await api.get("/customers?limit=20&sort=-updatedAt")
    target = first.headers["link"].partition(">")[0].removeprefix("</v2/public")
    last = await api.get(target)
    assert first.headers["link"].endswith('; rel="next"')
    assert [len(last.result["rows"]), last.result["nextCursor"], "link" in last.headers] == [3, None, False]


async def test_a_cursor_holds_for_its_own_list(api: Api) -> None:
    """A cursor of another sort, filter or resource, an altered one, and what is none are refused, not guessed about."""
    await fill(api)
    cursor = (await api.get("/customers?limit=5&sort=-updatedAt")).result["nextCursor"]
    mark, _ = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    altered = [[mark, ["x", "y"]], [mark, [1, 2]], [mark, []], ["no", ["x"]], {"a": 1}]
    deep = b'["%s",[%s%s]]' % (mark.encode(), b"[" * 1_400, b"]" * 1_400)
    tokens = [*map(msgspec.json.encode, altered), deep]
    texts = [base64.urlsafe_b64encode(each).decode().rstrip("=") for each in tokens]
    paths = [f"sort=-updatedAt&cursor={text}" for text in (*texts, "", "%00", "a", "é", "x" * 5000)]
    paths += [f"cursor={cursor}", f"sort=-updatedAt&lastName=L1&cursor={cursor}"]
    other = (await api.get("/customers?limit=5")).result["nextCursor"]
    for path in (*(f"/customers?{each.replace('é', '%C3%A9')}" for each in paths), f"/stores?cursor={other}"):
        answer = await api.get(path)
        assert answer.status == 400, path
        assert answer.error["code"] in ("INVALID_CURSOR", "VALIDATION_ERROR"), path


async def test_a_cursor_goes_without_an_offset(api: Api) -> None:
    """Cursor and offset together are refused."""
    await fill(api)
    cursor = (await api.get("/customers?limit=5")).result["nextCursor"]
    answer = await api.get(f"/customers?limit=5&offset=5&cursor={cursor}")
    assert [answer.status, answer.error["code"]] == [400, "VALIDATION_ERROR"]
