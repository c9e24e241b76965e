"""Every example in the documents works: what is shown is sent, and what comes is held against what is shown."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from retailos.declare.resource import Resource
from retailos.resources import RESOURCES
from tests.contract.conftest import ORDER, VARIED_RESOURCES, Api, Response, ground, least
from tests.contract.described import bodies, described, headers_fit, operations_of, problems_of
from tests.contract.test_answers import keyed


@pytest.fixture(scope="module")
def public() -> dict[str, Any]:
    """The document of the public API."""
    return described("public")


@pytest.fixture(scope="module")
def admin() -> dict[str, Any]:
    """The document of the admin API."""
    return described("admin")


def filled(path: str, operation: Mapping[str, Any], known: Mapping[str, str]) -> str:
    """Fill in the variables of a path: with what is known of them by now, else with their examples."""
    values = {
        each["name"]: known.get(each["name"], each["example"])
        for each in operation.get("parameters", ())
        if each["in"] == "path"
    }
    return path.format(**{name: quote(str(value), safe="") for name, value in values.items()})


async def run(
    api: Api, made: Mapping[str, Any], method: str, path: str, known: Mapping[str, str], body: Any = None
) -> Response:
    """Send what an operation shows as its first example, or `body`, and hold the answer against what it shows."""
    operation = made["paths"][path.partition("?")[0]][method.lower()]
    sent = body if body is not None else bodies(operation)[0] if "requestBody" in operation else None
    answer = await api.request(method, filled(path, operation, known), json=sent, key=api.admin_key)
    status, success = next(iter(operation["responses"].items()))
    assert (answer.status, answer.error) == (int(status), None), operation["operationId"]
    assert problems_of(made, success["content"]["application/json"]["schema"], answer.json) == []
    headers_fit(success, answer.headers)
    shown = success["content"]["application/json"]["example"]
    for told in ("statusCode", "statusMessage", "userMessage", "action"):
        assert answer.json[told] == shown[told]
    return answer


def needed(resource: Resource) -> set[str]:
    """The resources whose records must be there before one of this."""
    targets = {each.to for each in resource.references if each.required}
    return targets.union(*(needed(RESOURCES[name]) for name in targets))


async def lay_ground(api: Api, public: Mapping[str, Any], resource: Resource) -> None:
    """Write the records that one of this must refer to, as the document shows them."""
    for other in [RESOURCES[name] for name in ORDER if name in needed(resource)]:
        await run(api, public, "PUT", f"/v2/public/{other.collection}/{{externalId}}", {})


async def test_the_examples_of_every_resource_work(api: Api, public: dict[str, Any]) -> None:
    """Each request that the document shows first works, on an empty installation, and gets the answer that it shows."""
    for resource in [RESOURCES[name] for name in ORDER]:
        await lay_ground(api, public, resource)
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


def pointed(value: Any, expression: str) -> Any:
    """What a runtime expression such as `$response.body#/result/0/id` finds in an answer."""
    for step in expression.removeprefix("$response.body#/").split("/"):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


@VARIED_RESOURCES
async def test_every_link_of_an_answer_leads_somewhere(api: Api, public: dict[str, Any], resource: Resource) -> None:
    """Who wrote a record can follow the links of the answer to what was written, and to what became of the request."""
    by_id = {operation["operationId"]: (method, path) for method, path, operation in operations_of(public)}
    root = f"/v2/public/{resource.collection}"
    followed = set()
    await lay_ground(api, public, resource)
    for method, path in (("POST", root), ("PUT", root), ("PUT", f"{root}/{{externalId}}")):
        answer = await run(api, public, method, path, {})
        success = next(iter(public["paths"][path][method.lower()]["responses"].values()))
        for link in success["links"].values():
            known = {name: pointed(answer.json, each) for name, each in link["parameters"].items()}
            method_then, path_then = by_id[link["operationId"]]
            if method_then != "DELETE":
                await run(api, public, method_then, path_then, known)
            followed.add(path_then)
    assert followed == {f"{root}/id/{{id}}", "/v2/public/jobs/{id}", "/v2/public/batches/{id}"}


async def test_the_examples_of_what_is_of_no_resource_work(api: Api, public: dict[str, Any]) -> None:
    """What became of a request can be looked up, and all changes be read, as the document shows."""
    written = await run(api, public, "PUT", "/v2/public/customers", {})
    job, batch = written.result[0]["id"], written.result[0]["batchId"]
    root = "/v2/public"
    assert (await run(api, public, "GET", f"{root}/jobs/{{id}}", {"id": job})).result["id"] == job
    assert (await run(api, public, "GET", f"{root}/jobs", {})).result["rows"][0]["id"] == job
    assert (await run(api, public, "GET", f"{root}/batches/{{id}}", {"id": batch})).result["count"] == 1
    assert (await run(api, public, "POST", f"{root}/jobs/requeues", {})).result == {"count": 0, "dryRun": False}
    assert (await run(api, public, "GET", f"{root}/changes", {})).result["rows"][0]["externalId"] is not None
    titles = {each.title_plural for each in RESOURCES.values()}
    others = [path for _, path, operation in operations_of(public) if not titles.intersection(operation["tags"])]
    assert len(others) == 10, "Run the examples of the new operations here or below, too."


@VARIED_RESOURCES
async def test_what_is_answered_instead_is_documented(api: Api, public: dict[str, Any], resource: Resource) -> None:
    """A trial to create answers 200 with its job, and a record that the caller has already 304, as documented."""
    root = f"/v2/public/{resource.collection}"
    create = public["paths"][root]["post"]
    await lay_ground(api, public, resource)
    tried = await api.request("POST", f"{root}?dryRun=true", json=bodies(create)[0])
    content = create["responses"][str(tried.status)]["content"]["application/json"]
    assert (tried.status, problems_of(public, content["schema"], tried.json)) == (200, [])
    created = await api.request("POST", root, json=bodies(create)[0])
    known = {"If-None-Match": created.headers["etag"]}
    for path in (f"{root}/{{externalId}}", f"{root}/id/{{id}}", f"{root}/external/{{externalId}}"):
        read = public["paths"][path]["get"]
        told = read["responses"]["304"]
        asked = filled(path, read, {"id": created.result["id"]})
        answer = await api.request("GET", f"{asked}?fields=id,details", headers=known)
        assert (answer.status, answer.body, "content" in told) == (304, b"", False)
        assert {name.lower() for name in told["headers"]} <= answer.headers.keys()


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
    await run(api, admin, "PUT", webhooks + "/{id}", known, {k: v for k, v in body.items() if k != "backfill"})
    await run(api, admin, "POST", webhooks + "/{id}/signing-secrets", known)
    await run(api, admin, "POST", "/v2/admin/requeues", {})
    async with api.engine.pool.acquire() as connection:
        await connection.execute("update delivery set status = 'failed', error_class = 'timeout', settled_at = now()")
        await connection.execute("update due set due_at = 'infinity'")
    [begun] = (await run(api, admin, "POST", "/v2/admin/requeues", {})).result["operations"]
    assert (await run(api, admin, "GET", "/v2/admin/operations", {})).result["rows"] == [begun]
    for method in ("GET", "DELETE"):
        assert (await run(api, admin, method, "/v2/admin/operations/{id}", begun)).result == begun
    await run(api, admin, "POST", "/v2/admin/dismissals", {})
    for word in ("pause", "resume", "disable", "enable"):
        assert (await run(api, admin, "POST", f"{webhooks}/{{id}}/{word}", known)).result["id"] == added.result["id"]
    for word in ("backfill", "resync"):
        assert (await run(api, admin, "POST", f"{webhooks}/{{id}}/{word}", known)).result["kind"] == word
    await run(api, admin, "GET", webhooks + "/{id}/drift", known)
    assert (await run(api, admin, "GET", webhooks + "/{id}/openings", known)).result["rows"] == []
    for word in ("test", "trigger"):
        await run(api, admin, "POST", f"{webhooks}/{{id}}/{word}", known)
    await run(api, admin, "GET", webhooks + "/{id}/explain?externalId=example-customer-id", known)
    await run(api, admin, "DELETE", webhooks + "/{id}", known)
    assert (await run(api, admin, "GET", "/v2/admin/statistics", {})).result["stepMinutes"] == 1
    assert len(list(operations_of(admin))) == 40, "Run the examples of the new operations here or below, too."


async def test_the_examples_of_reports_work(api: Api, admin: dict[str, Any]) -> None:
    """A report can be added, seen, changed, previewed, sent and removed, and its issues be looked up, as shown."""
    reports = "/v2/admin/reports"
    added = (await run(api, admin, "POST", reports, {})).result
    known = {"id": str(added["id"])}
    assert (await run(api, admin, "GET", reports, {})).result["rows"] == [added]
    assert (await run(api, admin, "GET", reports + "/{id}", known)).result == added
    assert (await run(api, admin, "PUT", reports + "/{id}", known)).result["name"] == added["name"]
    assert (await run(api, admin, "GET", reports + "/{id}/preview", known)).result["total"] == 0
    sent = (await run(api, admin, "POST", reports + "/{id}/send", known)).result
    issues = reports + "/{id}/issues"
    assert (await run(api, admin, "GET", issues, known)).result["rows"] == [sent]
    assert (await run(api, admin, "GET", issues + "/{issueId}", known | {"issueId": sent["id"]})).result == sent
    assert (await run(api, admin, "DELETE", reports + "/{id}", known)).result == {"id": added["id"]}


async def test_the_examples_of_keys_work(api: Api, admin: dict[str, Any]) -> None:
    """A key can be made, seen, changed, rotated and revoked as the document shows, and no longer changed then."""
    keys = "/v2/admin/keys"
    made = await run(api, admin, "POST", keys, {})
    known = {"id": made.result["id"]}
    shown = {name: value for name, value in made.result.items() if name != "key"}
    assert (await run(api, admin, "GET", keys, {})).result["rows"][0] == shown
    assert (await run(api, admin, "GET", keys + "/{id}", known)).result == shown
    assert (await run(api, admin, "PUT", keys + "/{id}", known)).result == shown
    rotated = (await run(api, admin, "POST", keys + "/{id}/rotations", known)).result
    assert (rotated["id"], rotated["key"] != made.result["key"]) == (known["id"], True)
    assert (await run(api, admin, "DELETE", keys + "/{id}", known)).result["revokedAt"]
    refused = await api.admin("PUT", f"/keys/{known['id']}", json={})
    assert (
        refused.error["code"] in admin["components"]["responses"]["Error409"]["content"]["application/json"]["examples"]
    )


async def test_the_examples_of_imports_work(api: Api, public: dict[str, Any]) -> None:
    """Each file that the document shows is taken, and the import is answered, found, listed and cancelled as shown."""
    root = "/v2/public/imports"
    create = public["paths"][root]["post"]
    files = create["requestBody"]["content"]
    named = {each["name"]: each["schema"]["enum"] for each in create["parameters"] if "enum" in each["schema"]}
    assert named == {"resource": list(RESOURCES), "format": ["ndjson", "csv"]}
    for media_type in [each for each in files if not each.endswith(("gzip", "octet-stream"))]:
        file = files[media_type]["example"].encode()
        headers = {"Content-Type": media_type}
        answer = await api.request("POST", f"{root}?resource=customer", body=file, headers=headers)
        success = create["responses"]["202"]
        assert (answer.status, answer.result["rows"]) == (202, 2)
        assert problems_of(public, success["content"]["application/json"]["schema"], answer.json) == []
        headers_fit(success, answer.headers)
        known = {"id": answer.result["id"]}
        assert (await run(api, public, "GET", root, {})).result["rows"][0] == answer.result
        assert (await run(api, public, "GET", root + "/{id}", known)).result == answer.result
        assert (await run(api, public, "DELETE", root + "/{id}", known)).result["status"] == "cancelled"
        results = await api.get(f"/imports/{known['id']}/results")
        given = public["paths"][root + "/{id}/results"]["get"]["responses"]["200"]["content"]
        assert results.headers["content-type"].partition(";")[0] in given
        headers_fit(public["paths"][root + "/{id}/results"]["get"]["responses"]["200"], results.headers)
        for replayed in (None, "true"):
            sent = headers | keyed(media_type)
            answer = await api.request("POST", f"{root}?resource=customer", body=file, headers=sent)
            headers_fit(success, answer.headers)
            assert answer.headers.get("idempotency-replayed") == replayed


@VARIED_RESOURCES
async def test_every_header_of_an_answer_is_documented(api: Api, public: dict[str, Any], resource: Resource) -> None:
    """A page that others follow and a request that comes again tell so in headers which the document knows."""
    root, listed = f"/v2/public/{resource.collection}", public["paths"][f"/v2/public/{resource.collection}"]
    await lay_ground(api, public, resource)
    created = listed["post"]["responses"]["201"]
    for replayed in (None, "true"):
        answer = await api.request("POST", root, json=bodies(listed["post"])[0], headers=keyed("once"))
        assert (answer.status, answer.headers.get("idempotency-replayed")) == (201, replayed)
        headers_fit(created, answer.headers)
    await ground(api, resource, 1)
    assert (await api.put(f"/{resource.collection}/another", least(resource, 1))).status == 200
    page = await api.get(f"/{resource.collection}?limit=1")
    assert page.headers["link"].endswith('rel="next"')
    headers_fit(listed["get"]["responses"]["200"], page.headers)
    head = await api.request("HEAD", "/v2/public/changes", headers={"Accept": "text/event-stream"})
    headers_fit(public["paths"]["/v2/public/changes"]["get"]["responses"]["200"], head.headers)
