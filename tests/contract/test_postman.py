"""The Postman collection is what Postman imports, says what the document says, and its requests work as they stand."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from retailos.api.postman import BASE_URL
from retailos.resources import RESOURCES
from retailos.settings import load
from tests.contract.conftest import Api

_TEXT: Final = {"type": "string"}
_PAIRS: Final = {"type": "array", "items": {"type": "object", "required": ["key", "value"]}}
_URL: Final = {
    "type": "object",
    "required": ["raw", "host", "path"],
    "properties": {
        "raw": _TEXT,
        "host": {"type": "array", "items": _TEXT},
        "path": {"type": "array", "items": _TEXT},
        "query": _PAIRS,
        "variable": _PAIRS,
    },
}
_BODY: Final = {
    "type": "object",
    "required": ["mode", "raw"],
    "properties": {"mode": {"enum": ["raw", "urlencoded", "formdata", "file", "graphql"]}, "raw": _TEXT},
}
_REQUEST: Final = {
    "type": "object",
    "required": ["method", "url", "header"],
    "properties": {"method": _TEXT, "url": _URL, "header": _PAIRS, "body": _BODY, "description": _TEXT},
    "additionalProperties": False,
}
_RESPONSE: Final = {
    "type": "object",
    "required": ["name", "originalRequest", "code", "status", "header", "body"],
    "properties": {"name": _TEXT, "originalRequest": _REQUEST, "code": {"type": "integer"}, "body": _TEXT},
}
#: What the published schema of the format (v2.1.0) demands, as far as it is used here.
COLLECTION: Final = {
    "type": "object",
    "required": ["info", "item"],
    "properties": {
        "info": {
            "type": "object",
            "required": ["name", "schema"],
            "properties": {
                "name": _TEXT,
                "schema": {"const": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
                "_postman_id": {"pattern": "^[0-9a-f-]{36}$"},
            },
        },
        "item": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "item"],
                "properties": {
                    "item": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["name", "request", "response"],
                            "properties": {"request": _REQUEST, "response": {"type": "array", "items": _RESPONSE}},
                        },
                    }
                },
            },
        },
        "auth": {"type": "object", "required": ["type", "apikey"], "properties": {"apikey": _PAIRS}},
    },
    "additionalProperties": False,
}

Json = dict[str, Any]


async def served(api: Api, part: str, name: str) -> Json:
    """One of the documents, as anybody gets it."""
    answer = await api.request("GET", f"/v2/{part}/{name}.json", key="")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    made: Json = answer.json
    return made


def requests(collection: Json) -> Iterator[tuple[str, Json]]:
    """Every request of a collection, with the name of its folder."""
    for folder in collection["item"]:
        yield from ((folder["name"], item) for item in folder["item"])


def filled(text: str, values: Mapping[str, str]) -> str:
    """Fill in variables as Postman does."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], text)


@pytest.mark.parametrize("part", ["public", "admin"])
async def test_a_collection_is_what_postman_imports(shop: Api, part: str) -> None:
    """A collection has the form 2.1, a folder for each tag, and every operation, parameter and body of the document."""
    collection, document = await served(shop, part, "postman"), await served(shop, part, "openapi")
    assert [error.message for error in Draft202012Validator(COLLECTION).iter_errors(collection)] == []
    assert [each["name"] for each in collection["item"]] == [each["name"] for each in document["tags"]]
    found: dict[tuple[str, str], list[Json]] = {}
    for _, item in requests(collection):
        segments = (f"{{{each[1:]}}}" if each.startswith(":") else each for each in item["request"]["url"]["path"])
        found.setdefault((item["request"]["method"], "/" + "/".join(segments)), []).append(item)
    described = {(m.upper(), path): each for path, item in document["paths"].items() for m, each in item.items()}
    assert found.keys() == described.keys()
    for key, operation in described.items():
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        assert len(found[key]) == len(content.get("examples", [1]))
        request = found[key][0]["request"]
        shown = {each["key"] for each in request["url"].get("query", []) + request["url"].get("variable", [])}
        shown |= {each["key"] for each in request["header"]} - {"Accept", "Content-Type"}
        assert shown == {each["name"] for each in operation.get("parameters", ())} - {"filters"}
        assert ("body" in request) == ("requestBody" in operation)


@pytest.mark.parametrize("part", ["public", "admin"])
async def test_an_environment_has_the_variables_of_its_collection(shop: Api, part: str) -> None:
    """The environment names the server and has room for the key, and the collection needs nothing else."""
    collection, environment = await served(shop, part, "postman"), await served(shop, part, "postman-environment")
    assert environment["_postman_variable_scope"] == "environment"
    values = {each["key"]: each for each in environment["values"]}
    assert set(re.findall(r"\{\{(\w+)\}\}", str(collection))) == values.keys() == {"baseUrl", "apiKey"}
    assert all(each["enabled"] for each in values.values())
    assert (values["apiKey"]["type"], values["apiKey"]["value"]) == ("secret", "")
    unasked = load({})
    assert values["baseUrl"]["value"] == BASE_URL == f"http://{unasked.host}:{unasked.port}"


async def sent(api: Api, collection: Json, item: Json, values: Mapping[str, str]) -> int:
    """Send a request as Postman would, what is switched off left out; the status that came."""
    request = item["request"]
    path = {each["key"]: each["value"] for each in request["url"].get("variable", ())}
    segments = [path[each[1:]] if each.startswith(":") else each for each in request["url"]["path"]]
    auth = {each["key"]: filled(each["value"], values) for each in collection["auth"]["apikey"]}
    headers = {each["key"]: each["value"] for each in request["header"] if not each.get("disabled")}
    assert auth["in"] == "header"
    assert [each for each in request["url"].get("query", ()) if not each["disabled"]] == []
    body = request["body"]["raw"].encode() if "body" in request else b""
    answer = await api.request(
        request["method"],
        "/" + "/".join(segments),
        body=body or None,
        headers=headers | {auth["key"]: auth["value"]},
        key="",
    )
    return answer.status


@pytest.mark.parametrize("folder", [each.title_plural for each in RESOURCES.values()] + ["Jobs", "Batches", "Changes"])
async def test_the_requests_of_a_collection_work_as_they_stand(shop: Api, folder: str) -> None:
    """Who imports the collection and fills in a key can send each request; at worst a record is not there yet."""
    collection, document = await served(shop, "public", "postman"), await served(shop, "public", "openapi")
    [items] = [each["item"] for each in collection["item"] if each["name"] == folder]
    values = {"baseUrl": shop.url, "apiKey": shop.admin_key}
    for item in items:
        request = item["request"]
        path = "/" + "/".join(f"{{{each[1:]}}}" if each.startswith(":") else each for each in request["url"]["path"])
        documented = document["paths"][path][request["method"].lower()]["responses"]
        status = await sent(shop, collection, item, values)
        assert str(status) in documented
        assert status < 300 or status in (404, 409, 422), (item["name"], status)
