"""The documents say what the API does: they are valid, complete, and every example in them works."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import validate
from starlette.routing import BaseRoute, Mount, Route

from retailos.api.admin import admin_operations
from retailos.api.documents import document_routes
from retailos.api.health import health_routes
from retailos.api.openapi import document
from retailos.api.router import build_router
from retailos.api.routes import public_operations
from retailos.api.schemas import error_family
from retailos.api.server import all_operations
from retailos.declare.resource import Resource
from retailos.resources import RESOURCES
from tests.contract.conftest import ORDER, Api, Response

#: What is served beside the operations: nobody needs a document to find it.
BESIDE = (
    "/health/live",
    "/health/ready",
    "/v2/static/{}",
    *(f"/v2/{p}/{d}" for p in ("public", "admin") for d in ("docs", "openapi.json")),
)


def through_json(made: dict[str, Any]) -> dict[str, Any]:
    """Give a document as whoever fetches it has it."""
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(made))
    return decoded


@pytest.fixture(scope="module")
def public() -> dict[str, Any]:
    """The document of the public API."""
    return through_json(document(RESOURCES, public_operations(RESOURCES), title="public", server_version="1"))


@pytest.fixture(scope="module")
def admin() -> dict[str, Any]:
    """The document of the admin API."""
    return through_json(document(RESOURCES, admin_operations(RESOURCES), title="admin", server_version="1"))


@pytest.fixture(scope="module", params=["public", "admin"])
def either(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each of the two documents."""
    made: dict[str, Any] = request.getfixturevalue(request.param)
    return made


def operations_of(made: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Give method, path and description of every operation."""
    for path, item in made["paths"].items():
        yield from ((method.upper(), path, operation) for method, operation in item.items())


def shape(path: str) -> str:
    """A path without the names of its variables."""
    return re.sub(r"\{\w+\}", "{}", path)


def walk(part: Any) -> Iterator[Any]:
    """Give a part of a document and all parts within it."""
    yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from walk(inner)


def closed(made: Mapping[str, Any]) -> dict[str, Any]:
    """The components, their objects open to nothing that they do not describe: what we answer is described."""
    schemas = {
        name: {"additionalProperties": False, **schema} if "properties" in schema and "anyOf" not in schema else schema
        for name, schema in made["components"]["schemas"].items()
    }
    return {"schemas": schemas}


def problems_of(made: Mapping[str, Any], schema: Mapping[str, Any], value: Any) -> list[str]:
    """Say what of a value does not fit a schema of the document."""
    validator = Draft202012Validator(
        {**schema, "components": closed(made)}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def test_a_document_is_openapi_3_1(either: dict[str, Any]) -> None:
    """A document passes the public validator of OpenAPI 3.1."""
    assert either["openapi"] == "3.1.0"
    validate(either)


def test_every_pointer_leads_somewhere(either: dict[str, Any]) -> None:
    """Each $ref of a document points to a part of it, and no schema stands there for nothing."""
    pointers = {part["$ref"] for part in walk(either) if isinstance(part, dict) and "$ref" in part}
    for pointer in pointers:
        part: Any = either
        for step in pointer.removeprefix("#/").split("/"):
            part = part[step]
    assert {f"#/components/schemas/{name}" for name in either["components"]["schemas"]} <= pointers


def test_every_example_fits_its_schema(either: dict[str, Any]) -> None:
    """Each example, of a schema, a request or a response, is what the schema beside it describes."""
    schemas = either["components"]["schemas"]
    shown = [
        ({"$ref": f"#/components/schemas/{name}"}, each)
        for name in schemas
        for each in schemas[name].get("examples", ())
    ]
    for part in walk([either["paths"], either.get("webhooks", {}), either["components"]["responses"]]):
        if isinstance(part, dict) and "schema" in part:
            shown += [(part["schema"], part["example"])] if "example" in part else []
            shown += [(part["schema"], each["value"]) for each in part.get("examples", {}).values()]
    assert len(shown) > 30
    assert [problem for schema, value in shown for problem in problems_of(either, schema, value)] == []


def test_every_operation_has_what_a_reader_needs(either: dict[str, Any]) -> None:
    """Each operation has a name of its own, a summary, a listed tag, and an example of what it takes and gives."""
    operations = list(operations_of(either))
    names = [operation["operationId"] for _, _, operation in operations]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in either["tags"]}
    for _, _, operation in operations:
        assert operation["summary"]
        assert set(operation["tags"]) <= tags
        success = next(iter(operation["responses"].values()))
        for content in (success["content"], operation.get("requestBody", success)["content"]):
            assert content["application/json"].keys() & {"example", "examples"}, operation["operationId"]


def test_every_error_code_is_documented(either: dict[str, Any]) -> None:
    """Whoever goes by error.code finds every code there is in the schema, and an example of each."""
    codes = {each.code for each in error_family()}
    assert set(either["components"]["schemas"]["Fault"]["properties"]["code"]["enum"]) == codes
    contents = [each["content"]["application/json"] for each in either["components"]["responses"].values()]
    assert {code for content in contents for code in content["examples"]} == codes


def test_a_webhook_is_documented_for_every_resource(public: dict[str, Any]) -> None:
    """What a receiver gets is documented with the objects of its relations, under the resource's name."""
    assert list(public["webhooks"]) == list(RESOURCES)
    told = public["webhooks"]["customer"]["put"]["requestBody"]["content"]["application/json"]["example"]["customer"]
    assert list(told["registeredBy"]) == list(RESOURCES["user"].projection)
    assert list(told["territory"]) == ["id", "name", "details"]
    assert "region" not in told


def test_no_two_paths_are_the_same_to_a_reader(either: dict[str, Any]) -> None:
    """Paths that differ in the names of their variables alone stand as one, as OpenAPI demands."""
    shapes = [shape(path) for path in either["paths"]]
    assert len(set(shapes)) == len(shapes)


def routed(routes: list[BaseRoute], root: str = "") -> Iterator[tuple[str, str]]:
    """Give method and path of every route."""
    for route in routes:
        if isinstance(route, Mount):
            yield from routed(route.routes or [], root + route.path)
        elif isinstance(route, Route):
            yield from ((method, shape(root + route.path)) for method in route.methods or () if method != "HEAD")


async def test_the_routes_are_those_that_are_documented(
    api: Api, public: dict[str, Any], admin: dict[str, Any]
) -> None:
    """Nothing is served that is not documented, and nothing is documented that is not served."""
    operations = all_operations(api.engine)
    beside = (*health_routes(api.engine), *document_routes(RESOURCES, operations))
    served = set(routed(build_router(api.engine, operations, beside).routes))
    documented = {(method, shape(path)) for made in (public, admin) for method, path, _ in operations_of(made)}
    assert served == documented | {("GET", path) for path in BESIDE}


def filled(path: str, operation: Mapping[str, Any], known: Mapping[str, str]) -> str:
    """Fill in the variables of a path: with what is known of them by now, else with their examples."""
    values = {
        each["name"]: known.get(each["name"], each["example"])
        for each in operation.get("parameters", ())
        if each["in"] == "path"
    }
    return path.format(**{name: quote(str(value), safe="") for name, value in values.items()})


def bodies(operation: Mapping[str, Any]) -> list[Any]:
    """Give the bodies that an operation shows as examples; None where it takes none."""
    if "requestBody" not in operation:
        return [None]
    content = operation["requestBody"]["content"]["application/json"]
    return [content["example"]] if "example" in content else [each["value"] for each in content["examples"].values()]


async def run(
    api: Api, made: Mapping[str, Any], method: str, path: str, known: Mapping[str, str], body: Any = None
) -> Response:
    """Send what an operation shows as its first example, or `body`, and hold the answer against what it shows."""
    operation = made["paths"][path][method.lower()]
    sent = bodies(operation)[0] if body is None else body
    answer = await api.request(method, filled(path, operation, known), json=sent, key=api.admin_key)
    status, success = next(iter(operation["responses"].items()))
    assert (answer.status, answer.error) == (int(status), None), operation["operationId"]
    assert problems_of(made, success["content"]["application/json"]["schema"], answer.json) == []
    assert {name.lower() for name in success["headers"]} <= answer.headers.keys()
    shown = success["content"]["application/json"]["example"]
    for told in ("statusCode", "statusMessage", "userMessage", "action"):
        assert answer.json[told] == shown[told]
    return answer


def needed(resource: Resource) -> set[str]:
    """The resources whose records must be there before one of this."""
    targets = {each.to for each in resource.references if each.required}
    return targets.union(*(needed(RESOURCES[name]) for name in targets))


async def test_the_examples_of_every_resource_work(api: Api, public: dict[str, Any]) -> None:
    """Each request that the document shows first works, on an empty installation, and gets the answer that it shows."""
    for resource in [RESOURCES[name] for name in ORDER]:
        for other in [RESOURCES[name] for name in ORDER if name in needed(resource)]:
            await run(api, public, "PUT", f"/v2/public/{other.collection}/{{externalId}}", {})
        await examples_work(api, public, resource)


async def examples_work(api: Api, public: dict[str, Any], resource: Resource) -> None:
    """Create, read, write and delete the record that the document shows of a resource."""
    root = f"/v2/public/{resource.collection}"
    created = await run(api, public, "POST", root, {})
    known = {"id": created.result["id"]}
    titled = [
        each for each in operations_of(public) if each[2]["tags"] == [resource.title_plural] and each[0] != "POST"
    ]
    assert len(titled) > 8
    for method, path, _ in sorted(titled, key=lambda each: each[0] == "DELETE"):
        answer = await run(api, public, method, path, known)
        if method == "GET" and path == root:
            assert answer.result["rows"] == [created.result]
        elif method == "GET":
            assert answer.result == created.result
        elif method in ("PUT", "PATCH"):
            assert answer.result[0]["outcome"] == "unchanged"
    assert (await api.get(f"/{resource.collection}?limit=0")).result["count"] == 0


async def test_the_examples_with_references_work(api: Api, public: dict[str, Any]) -> None:
    """A record can refer to others as the document shows, once those are there, and then shows them."""
    referring = [each for each in RESOURCES.values() if any(other.to != each.name for other in each.references)]
    for name in ORDER:
        await run(api, public, "PUT", f"/v2/public/{RESOURCES[name].collection}/{{externalId}}", {})
    for resource in referring:
        root, one = f"/v2/public/{resource.collection}", f"/v2/public/{resource.collection}/{{externalId}}"
        body = bodies(public["paths"][root]["post"])[-1]
        assert bodies(public["paths"][one]["put"])[-1] == body
        if resource.write_once:
            body = body | {resource.external_id.name: "another"}
            await run(api, public, "POST", root, {}, body)
        else:
            await run(api, public, "PUT", one, {}, body)
            written = await run(api, public, "PUT", one, {}, body)
            assert written.result[0]["outcome"] == "unchanged"
        key = body[resource.external_id.name]
        found = await api.get(f"/{resource.collection}/{key}?expand={','.join(resource.reference)}")
        assert problems_of(public, {"$ref": f"#/components/schemas/{resource.schema_name}Envelope"}, found.json) == []
        shown = [name for name in resource.reference if found.result[name]]
        assert shown == [name for name in resource.reference if name in body] != []


async def test_the_examples_of_the_administration_work(api: Api, public: dict[str, Any], admin: dict[str, Any]) -> None:
    """A webhook can be added, seen, changed, told of a record, requeued and removed as the document shows."""
    body = admin["components"]["schemas"]["WebhookInput"]["examples"][0]
    body = body | {"url": body["url"].replace("https://erp.example.com", api.url)}
    webhooks, deliveries = "/v2/admin/webhooks", "/v2/admin/deliveries"
    added = await run(api, admin, "POST", webhooks, {}, body)
    known = {"id": str(added.result["id"])}
    await run(api, public, "PUT", "/v2/public/customers/{externalId}", {})
    listed = await run(api, admin, "GET", deliveries, {})
    done = [
        (await run(api, admin, "GET", webhooks, {})).result["rows"],
        [(await run(api, admin, "GET", webhooks + "/{id}", known)).result],
    ]
    assert done == [[added.result]] * 2
    await run(api, admin, "GET", deliveries + "/{id}", {"id": listed.result["rows"][0]["id"]})
    await run(api, admin, "PUT", webhooks + "/{id}", known, body)
    await run(api, admin, "POST", "/v2/admin/requeues", {})
    await run(api, admin, "DELETE", webhooks + "/{id}", known)
    assert len(list(operations_of(admin))) == 8, "Run the examples of the new operations here too."


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=list(RESOURCES))
async def test_every_documented_parameter_is_known(shop: Api, public: dict[str, Any], resource: Resource) -> None:
    """A list takes each parameter and each filter with an operator that the document names."""
    asked = public["paths"][f"/v2/public/{resource.collection}"]["get"]["parameters"]
    with_operators = asked[-1]["schema"]["propertyNames"]["enum"]
    names = [each["name"] for each in asked[:-1]] + with_operators
    for begin in range(0, len(names), 40):
        query = "&".join(f"{quote(name)}=x" for name in names[begin : begin + 40])
        answer = await shop.get(f"/{resource.collection}?{query}")
        told = [] if answer.status == 200 else [each["message"] for each in answer.error["details"]["errors"]]
        assert answer.status == 200 or answer.error["code"] == "VALIDATION_ERROR", told
    assert (await shop.get(f"/{resource.collection}?filters=x")).error["code"] == "UNKNOWN_PARAMETER"


REFUSED = {
    "no key": ("PUT", "/c-1", {"json": {"firstName": "Ada"}, "key": ""}, 401),
    "no JSON": ("PUT", "/c-1", {"body": b"{"}, 400),
    "a wrong value": ("PUT", "/c-1", {"json": {"dob": "1904-01-01"}}, 400),
    "another media type": ("PUT", "/c-1", {"body": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
    "too much": ("PUT", "/c-1", {"body": b" " * 2_000_000}, 413),
    "an unknown store": ("PUT", "/c-1", {"json": {"firstName": "Ada", "registeredAt": {"externalStoreId": "s"}}}, 422),
    "an unknown customer": ("GET", "/c-1", {}, 404),
    "no JSON wanted": ("GET", "/c-1", {"headers": {"Accept": "text/html"}}, 406),
    "too long a URL": ("GET", "/" + "c" * 9_000, {}, 414),
    "too much in headers": ("GET", "/c-1", {"headers": {"X-Much": "x" * 17_000}}, 431),
}


@pytest.mark.parametrize(("method", "path", "sent", "status"), REFUSED.values(), ids=list(REFUSED))
async def test_what_is_refused_is_refused_as_documented(
    api: Api, public: dict[str, Any], method: str, path: str, sent: dict[str, Any], status: int
) -> None:
    """An error has a status that the operation names, a code of that status, and the shape of the document."""
    answer = await api.request(method, f"/v2/public/customers{path}", **sent)
    operation = public["paths"]["/v2/public/customers/{externalId}"][method.lower()]
    assert operation["responses"][str(answer.status)] == {"$ref": f"#/components/responses/Error{status}"}
    response = public["components"]["responses"][f"Error{status}"]
    assert answer.error["code"] in response["content"]["application/json"]["examples"]
    assert problems_of(public, response["content"]["application/json"]["schema"], answer.json) == []
    assert {name.lower() for name in response["headers"]} <= answer.headers.keys()
