"""The Postman collection (format 2.1) and its environment, made of an OpenAPI document."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

Part = dict[str, Any]

_SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
#: Where a server listens unless told otherwise.
BASE_URL = "http://127.0.0.1:8080"
_JSON = "application/json"


def collection(document: Part) -> Part:
    """Make a folder of requests for each tag of the document, the examples as bodies, authorised by a variable."""
    info = document["info"]
    folders: dict[str, Part] = {each["name"]: dict(each) | {"item": []} for each in document["tags"]}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            folders[operation["tags"][0]]["item"] += _items(document, method.upper(), path, operation)
    return {
        "info": {
            "_postman_id": str(uuid5(NAMESPACE_URL, info["title"])),
            "name": info["title"],
            "description": info["description"],
            "version": info["version"],
            "schema": _SCHEMA,
        },
        "item": list(folders.values()),
        "auth": {"type": "apikey", "apikey": _pairs(key="Authorization", value="API_KEY {{apiKey}}")},
    }


def environment(document: Part, base_url: str = BASE_URL) -> Part:
    """Make the environment that the collection's variables come from; the key is left for its owner to fill in."""
    name = document["info"]["title"]
    return {
        "id": str(uuid5(NAMESPACE_URL, f"{name} environment")),
        "name": name,
        "values": [
            {"key": "baseUrl", "value": base_url, "type": "default", "enabled": True},
            {"key": "apiKey", "value": "", "type": "secret", "enabled": True},
        ],
        "_postman_variable_scope": "environment",
    }


def _pairs(*, key: str, value: str) -> list[Part]:
    named = {"key": key, "value": value, "in": "header"}
    return [{"key": name, "value": told, "type": "string"} for name, told in named.items()]


def _items(document: Part, method: str, path: str, operation: Part) -> Iterator[Part]:
    """One request for each example of a body, or one without."""
    asked = operation.get("parameters", [])
    request: Part = {
        "method": method,
        "header": list(_headers(document, operation, asked)),
        "url": _url(document, path, asked),
    }
    for name, body in _bodies(operation):
        sent = request | ({"body": body} if body else {})
        yield {
            "name": f"{operation['summary']}{name}",
            "request": sent | {"description": operation["description"]},
            "response": list(_responses(operation, sent)),
        }


def _url(document: Part, path: str, asked: list[Part]) -> Part:
    """The URL of a request: variables of the path with their examples, parameters of the query switched off."""
    segments = [f":{each[1:-1]}" if each.startswith("{") else each for each in path.strip("/").split("/")]
    query = [_parameter(document, each) | {"disabled": True} for each in asked if _is_one(document, each, "query")]
    variables = [_parameter(document, each) for each in asked if each["in"] == "path"]
    url: Part = {"raw": "/".join(["{{baseUrl}}", *segments]), "host": ["{{baseUrl}}"], "path": segments}
    return url | ({"query": query} if query else {}) | ({"variable": variables} if variables else {})


def _headers(document: Part, operation: Part, asked: list[Part]) -> Iterator[Part]:
    yield {"key": "Accept", "value": _JSON}
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        yield {"key": "Content-Type", "value": _JSON if _JSON in content else next(iter(content))}
    yield from (_parameter(document, each) | {"disabled": True} for each in asked if _is_one(document, each, "header"))


def _is_one(document: Part, parameter: Part, place: str) -> bool:
    """Whether a parameter stands at this place under its own name; the members of an object have names of theirs."""
    return parameter["in"] == place and _resolved(document, parameter["schema"]).get("type") != "object"


def _parameter(document: Part, parameter: Part) -> Part:
    schema = _resolved(document, parameter["schema"])
    value = parameter.get("example", schema.get("default", ""))
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return {"key": parameter["name"], "value": text, "description": parameter["description"]}


def _resolved(document: Part, schema: Part) -> Part:
    if "$ref" not in schema:
        return schema
    found: Part = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _bodies(operation: Part) -> Iterator[tuple[str, Part | None]]:
    """The examples of a body, each with what the request's name ends with; of a file, one in its first format."""
    content = operation.get("requestBody", {}).get("content", {})
    if _JSON in content:
        shown = content[_JSON]
        first, *others = shown.get("examples", {"": {"value": shown.get("example")}}).values()
        yield "", _raw(first["value"])
        yield from ((f": {each['summary'].lower()}", _raw(each["value"])) for each in others)
    else:
        yield "", {"mode": "raw", "raw": next(iter(content.values()))["example"]} if content else None


def _responses(operation: Part, sent: Mapping[str, Any]) -> Iterator[Part]:
    """The answers that the document shows of the operation itself; those that all have are in the document."""
    for status, told in operation["responses"].items():
        shown = told.get("content", {}).get(_JSON, {}).get("example")
        if shown is not None:
            yield {
                "name": told["description"],
                "originalRequest": dict(sent),
                "status": HTTPStatus(int(status)).phrase,
                "code": int(status),
                "header": [{"key": "Content-Type", "value": f"{_JSON}; charset=utf-8"}],
                "body": _pretty(shown),
                "_postman_previewlanguage": "json",
            }


def _raw(body: Any) -> Part:
    return {"mode": "raw", "raw": _pretty(body), "options": {"raw": {"language": "json"}}}


def _pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
