"""Creating a record: POST makes a new one and shows it, and never touches one that exists."""

from uuid import UUID

from retailos.declare.resource import Resource
from tests.contract.conftest import EACH_RESOURCE, VARIED_RESOURCES, Api, check_envelope, codes, full, least, own_names


@EACH_RESOURCE
async def test_a_post_creates_and_shows_the_record(shop: Api, resource: Resource, number: int) -> None:
    """A POST is answered with 201, where the record is, its version, and the record as a GET shows it."""
    sent = full(resource, number)
    post = await shop.post(f"/{resource.collection}", sent)
    envelope = check_envelope(post, 201)
    assert (envelope["action"], envelope["userMessage"]) == (resource.action("CREATE"), resource.title)
    assert envelope["statusMessage"] == "Created"
    record = envelope["result"]
    assert list(record) == own_names(resource)
    assert record[resource.external_id.name] == sent[resource.external_id.name]
    assert post.headers["location"] == f"/v2/public/{resource.collection}/id/{record['id']}"
    assert post.headers["etag"] == '"1"'
    assert (await shop.request("GET", post.headers["location"])).result == record


@VARIED_RESOURCES
async def test_a_record_without_an_external_id_gets_its_own_id(shop: Api, resource: Resource, number: int) -> None:
    """A record made without an external id has its own id as such, and is found and updated by it."""
    body, key = least(resource, number), resource.external_id.name
    record = (await shop.post(f"/{resource.collection}", body)).result
    assert record[key] == (f"ground-{number}:ground-{number}" if resource.natural_key else record["id"])
    assert UUID(record["id"]).version == 7
    put = await shop.put(f"/{resource.collection}/{record[key]}", body | {"details": {"a": 1}})
    assert (put.result[0]["outcome"], put.result[0]["resourceId"]) == ("updated", record["id"])
    for path in (record[key], f"external/{record[key]}", f"id/{record['id']}"):
        assert (await shop.get(f"/{resource.collection}/{path}")).result["details"] == {"a": 1}


@VARIED_RESOURCES
async def test_an_external_id_that_is_taken_is_a_conflict(shop: Api, resource: Resource, number: int) -> None:
    """A POST with an external id that exists is refused, names the record, and changes nothing."""
    body = least(resource, number) | {resource.external_id.name: f"taken-{number}"}
    made = (await shop.post(f"/{resource.collection}", body)).result
    for sent in (body, body | {"details": {"a": 1}}, {resource.name: body}):
        refused = await shop.post(f"/{resource.collection}", sent)
        assert check_envelope(refused, 409)["error"]["code"] == "EXTERNAL_ID_EXISTS"
        assert refused.error["details"] == {"resourceId": made["id"]}
    assert (await shop.get(f"/{resource.collection}/id/{made['id']}")).result == made


@VARIED_RESOURCES
async def test_a_post_takes_what_a_put_takes(shop: Api, resource: Resource, number: int) -> None:
    """A POST is checked like a PUT: required fields, unknown fields, and read-only ones that are ignored."""
    body, path = least(resource, number), f"/{resource.collection}"
    missing = await shop.post(path, {})
    assert [code for _, code in codes(missing)] == ["REQUIRED"] * len(codes(missing))
    assert codes(await shop.post(path, body | {"nmae": 1})) == [("/nmae", "UNKNOWN_FIELD")]
    made = (await shop.post(path, body | {"version": 99, "createdAt": "2001-01-01T00:00:00.000Z"})).result
    assert made["version"] == 1
    assert made["createdAt"] > "2020"


async def test_a_post_of_a_value_that_is_taken_writes_nothing(shop: Api, number: int) -> None:
    """A username that another user has is refused on POST too, with a pointer to it."""
    user = {"firstName": "A", "lastName": "B", "username": f"post-{number}"}
    assert (await shop.post("/users", user)).status == 201
    before = await shop.stored()
    refused = await shop.post("/users", user)
    assert (refused.status, codes(refused)) == (409, [("/username", "NOT_UNIQUE")])
    assert await shop.stored() == before


async def test_a_refused_post_leaves_no_trace(shop: Api, number: int) -> None:
    """A POST that finds its external id taken writes no change, owes nothing, and leaves no job."""
    body = {"name": "UK", "externalTerritoryId": f"trace-{number}"}
    assert (await shop.post("/territories", body)).status == 201
    before = await shop.stored()
    assert (await shop.post("/territories", body)).status == 409
    assert await shop.stored() == before


async def test_a_code_of_a_client_is_unique(shop: Api, number: int) -> None:
    """Two clients can't have one code, and one without a code does not clash with another."""
    assert (await shop.post("/clients", {"name": "A", "code": f"brand-{number}"})).status == 201
    refused = await shop.post("/clients", {"name": "B", "code": f"brand-{number}"})
    assert (refused.status, codes(refused)) == (409, [("/code", "NOT_UNIQUE")])
    assert [(await shop.post("/clients", {"name": "C"})).status for _ in range(2)] == [201, 201]
