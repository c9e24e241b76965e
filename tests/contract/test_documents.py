"""The documents and their pages are served to anybody, from this server alone."""

import hashlib
import re

import msgspec
import pytest

from retailos import __version__
from retailos.api.documents import vendored
from tests.contract.conftest import Api

KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@pytest.mark.parametrize("part", ["public", "admin"])
async def test_a_document_is_served_without_a_key(api: Api, part: str) -> None:
    """Tools that read OpenAPI fetch the bare document, of this part of the API and of no other."""
    answer = await api.request("GET", f"/v2/{part}/openapi.json", key="")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json["info"] == answer.json["info"] | {"title": f"RetailOS {part} API", "version": __version__}
    assert all(path.startswith(f"/v2/{part}/") for path in answer.json["paths"])
    assert {"x-ra-request-id", "x-ra-request-timestamp", "x-ra-server-version"} <= answer.headers.keys()


@pytest.mark.parametrize("part", ["public", "admin"])
async def test_the_page_takes_everything_from_this_server(api: Api, part: str) -> None:
    """The page shows its own document, has no script of its own, and names no other host."""
    page = await api.request("GET", f"/v2/{part}/docs", key="")
    text = page.body.decode()
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f'data-document="/v2/{part}/openapi.json"' in text
    assert re.findall(r"<script[^>]*>[^<]", text) == []
    for address in re.findall(r'(?:src|href|data-document)="([^"]*)"', text):
        assert (await api.request("GET", address, key="")).status == 200, address


async def test_the_page_may_load_nothing_from_elsewhere(api: Api) -> None:
    """The browser is told to take scripts, styles and data from this server alone, and to run no inline script."""
    policy = (await api.request("GET", "/v2/public/docs", key="")).headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["connect-src"] == "'self'"
    assert all(
        source in ("'self'", "'none'", "'unsafe-inline'", "data:") for rule in rules.values() for source in rule.split()
    )
    assert rules["frame-ancestors"] == "'none'"


@pytest.mark.parametrize("file", [name for name in vendored() if not name.endswith(".txt")])
async def test_a_static_file_is_served_as_it_was_vendored(api: Api, file: str) -> None:
    """A browser gets the very bytes that are listed, as what they are, and may keep them for a while."""
    answer = await api.request("GET", f"/v2/static/{file}", key="")
    assert answer.status == 200
    assert hashlib.sha256(answer.body).hexdigest() == vendored()[file]
    assert answer.headers["content-type"] == KINDS["." + file.rpartition(".")[2]]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "max-age" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "path", ["/v2/public/openapi.json", "/v2/public/postman.json", "/v2/public/docs", "/v2/static/docs.js"]
)
async def test_who_has_it_already_is_told_so(api: Api, path: str) -> None:
    """A GET with the ETag of what is served ends 304 without a body, and a HEAD tells the length alone."""
    whole = await api.request("GET", path, key="")
    again = await api.request("GET", path, key="", headers={"If-None-Match": whole.headers["etag"]})
    changed = await api.request("GET", path, key="", headers={"If-None-Match": '"another"'})
    head = await api.request("HEAD", path, key="")
    assert [(each.status, len(each.body)) for each in (again, changed, head)] == [
        (304, 0),
        (200, len(whole.body)),
        (200, 0),
    ]
    assert int(head.headers["content-length"]) == len(whole.body)


@pytest.mark.parametrize(
    "file", ["VENDORED.toml", "..%2Fdocuments.py", "%2Fetc%2Fpasswd", "docs.js%00", "missing.js", ""]
)
async def test_only_listed_files_are_served(api: Api, file: str) -> None:
    """No path leads to another file."""
    answer = await api.request("GET", f"/v2/static/{file}", key="")
    assert answer.status in (400, 404)
    assert answer.error["code"] in ("ROUTE_NOT_FOUND", "BAD_REQUEST")


async def test_a_document_takes_no_other_method(api: Api) -> None:
    """Whoever posts to a document gets 405 and the methods that it takes, in the envelope."""
    answer = await api.request("POST", "/v2/public/openapi.json", json={})
    assert (answer.status, answer.error["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert msgspec.json.encode(answer.json)
