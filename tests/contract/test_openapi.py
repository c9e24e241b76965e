"""The documents say what the API does: they are valid and complete, and true of each operation."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from openapi_spec_validator import validate
from starlette.routing import BaseRoute, Mount, Route

from retailos.api.documents import document_routes
from retailos.api.health import health_routes
from retailos.api.report_files import report_file_routes
from retailos.api.router import build_router
from retailos.api.schemas import error_family
from retailos.api.server import all_operations
from retailos.declare.resource import Resource
from retailos.receiver import Received, Receiver
from retailos.resources import RESOURCES
from tests.contract.conftest import Api, full
from tests.contract.delivering import webhook, working
from tests.contract.described import described, headers_fit, operations_of, problems_of

#: What is served beside the operations: nobody needs a document to find it.
BESIDE = (
    "/health/live",
    "/health/ready",
    "/v2/static/{}",
    *(f"/v2/reports/{{}}/failures.{form}" for form in ("csv", "ndjson")),
    *(
        f"/v2/{p}/{d}"
        for p in ("public", "admin")
        for d in ("docs", "openapi.json", "postman.json", "postman-environment.json")
    ),
)


@pytest.fixture(scope="module")
def public() -> dict[str, Any]:
    """The document of the public API."""
    return described("public")


@pytest.fixture(scope="module")
def admin() -> dict[str, Any]:
    """The document of the admin API."""
    return described("admin")


@pytest.fixture(scope="module", params=["public", "admin"])
def either(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each of the two documents."""
    made: dict[str, Any] = request.getfixturevalue(request.param)
    return made


def shape(path: str) -> str:
    """A path without the names of its variables."""
    return re.sub(r"\{\w+\}", "{}", path)


def walk(part: Any) -> Iterator[Any]:
    """Give a part of a document and all parts within it."""
    yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from walk(inner)


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
            for shown in content.values():
                assert shown.keys() & {"example", "examples"}, operation["operationId"]


def test_every_error_code_is_documented(either: dict[str, Any]) -> None:
    """Whoever goes by error.code finds every code there is in the schema, and an example of each."""
    codes = {each.code for each in error_family()}
    assert set(either["components"]["schemas"]["Fault"]["properties"]["code"]["examples"]) == codes
    contents = [each["content"]["application/json"] for each in either["components"]["responses"].values()]
    assert {code for content in contents for code in content["examples"]} == codes


def test_a_webhook_is_documented_for_every_resource(public: dict[str, Any]) -> None:
    """What a receiver gets is documented with the objects of its relations, under the resource's name."""
    assert list(public["webhooks"]) == [name for each in RESOURCES.values() for name in (each.name, each.plural)]
    told = public["webhooks"]["customer"]["put"]["requestBody"]["content"]["application/json"]["example"]["customer"]
    assert list(told["registeredBy"]) == list(RESOURCES["user"].projection)
    assert list(told["territory"]) == ["id", "name", "details"]
    assert "region" not in told


def those_that_others_need_first() -> Iterator[Resource]:
    """Give the resources so that what a record must refer to is there before it."""
    given: set[str] = set()
    while len(given) < len(RESOURCES):
        resource = next(
            each
            for each in RESOURCES.values()
            if each.name not in given and all(to.to in given for to in each.references if to.required)
        )
        given.add(resource.name)
        yield resource


def told_by(receiver: Receiver) -> dict[str, Received]:
    """The last request of each resource, and its last batch."""

    def name(received: Received) -> str:
        resource = RESOURCES[received.header("x-ra-resource") or ""]
        return resource.plural if received.header("x-ra-batch-size") else resource.name

    return {name(each): each for each in receiver.received}


async def test_what_webhooks_send_is_what_is_documented(api: Api, public: dict[str, Any]) -> None:
    """Receivers of any resource, single or in batches, get the headers and the body that the document describes."""
    async with Receiver.listen() as receiver, working(api):
        for name in RESOURCES:
            await webhook(api, receiver, name)
            await webhook(api, receiver, name, name="batches", url=f"{receiver.url}/all", batchSize=10)
        known: dict[str, list[str]] = {}
        for number, resource in enumerate(those_that_others_need_first()):
            created = await api.post(f"/{resource.collection}", full(resource, number, known))
            assert created.status == 201
            known[resource.name] = [created.result[resource.external_id.name]]
        # A customer who agrees to be written to is evidence as well, which is told of, too.
        await receiver.wait_until(lambda receiver: told_by(receiver).keys() == public["webhooks"].keys())
        told = told_by(receiver)
    for name, received in told.items():
        described = public["webhooks"][name]["put"]
        headers = [
            public["components"]["parameters"][each["$ref"].rpartition("/")[2]] for each in described["parameters"]
        ]
        assert all(each["required"] and received.header(each["name"]) for each in headers)
        ours = {key.decode().lower() for key, _ in received.raw_headers if key.lower().startswith(b"x-ra-")}
        assert ours <= {each["name"].lower() for each in headers}
        schema = described["requestBody"]["content"]["application/json"]["schema"]
        assert problems_of(public, schema, received.json()) == []
        assert list(described["responses"]) == ["2XX", "3XX", "4XX", "5XX"]


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
    files = report_file_routes(api.engine)
    beside = (*health_routes(api.engine), *files, *document_routes(RESOURCES, operations))
    served = set(routed(build_router(api.engine, operations, beside).routes))
    documented = {(method, shape(path)) for made in (public, admin) for method, path, _ in operations_of(made)}
    assert served == documented | {("GET", path) for path in BESIDE}


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=list(RESOURCES))
async def test_every_documented_parameter_is_known(shop: Api, public: dict[str, Any], resource: Resource) -> None:
    """A list takes each parameter and each filter with an operator that the document names."""
    asked = public["paths"][f"/v2/public/{resource.collection}"]["get"]["parameters"]
    filters = public["components"]["schemas"][f"{resource.schema_name}Filters"]
    with_operators = filters["propertyNames"]["enum"]
    names = [each["name"] for each in asked[:-1]] + with_operators
    for begin in range(0, len(names), 40):
        query = "&".join(f"{quote(name)}=x" for name in names[begin : begin + 40])
        answer = await shop.get(f"/{resource.collection}?{query}")
        told = [] if answer.status == 200 else [each["message"] for each in answer.error["details"]["errors"]]
        assert answer.status == 200 or answer.error["code"] == "VALIDATION_ERROR", told
    assert (await shop.get(f"/{resource.collection}?filters=x")).error["code"] == "UNKNOWN_PARAMETER"


NOBODY = "01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"
REFUSED = {
    "no key": ("PUT", "/c-1", {"json": {"firstName": "Ada"}, "key": ""}, 401),
    "no JSON": ("PUT", "/c-1", {"body": b"{"}, 400),
    "a wrong value": ("PUT", "/c-1", {"json": {"dob": "1904-01-01"}}, 400),
    "another media type": ("PUT", "/c-1", {"body": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
    "too much": ("PUT", "/c-1", {"body": b" " * 2_000_000}, 413),
    "an unknown store": ("PUT", "/c-1", {"json": {"firstName": "Ada", "registeredAtId": NOBODY}}, 422),
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
    headers_fit(response, answer.headers)
    if status != 406:
        sent = sent | {"headers": sent.get("headers", {}) | {"Accept": "application/problem+json"}}
        problem = await api.request(method, f"/v2/public/customers{path}", **sent)
        told = response["content"][problem.headers["content-type"]]
        assert problems_of(public, told["schema"], problem.json) == []
        assert problem.json.keys() == told["example"].keys()
