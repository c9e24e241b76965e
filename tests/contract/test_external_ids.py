"""External ids are opaque: whatever characters one has, it is one segment of a URL, and one record that it leads to."""

from collections.abc import Sequence
from urllib.parse import quote

from retailos.declare.resource import Resource
from retailos.declare.sample import external_id
from tests.contract.conftest import VARIED_RESOURCES, Api, ground, least
from tests.contract.hostile import listed

#: Some id that no record has.
NOBODY = "01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"

EXTERNAL_IDS: Sequence[str] = (
    *listed("a/b|a%2Fb|a%252Fb|/|//|a b| a |a+b|+|{}|{externalCustomerId}|😀|é|e\u0301|john.d@example.com"),
    *listed("John.D@example.com|...|.a|a?b|a#b|a&b=c|a;b|a\\b|'|\"|<b>|\u202eevil|a\u200bb|null|undefined|0|-1|id"),
    *listed(f"external|%|%zz|{'x' * 255}|{'😀' * 255}|{NOBODY}|=1+1|\ufffe|customers|${{7*7}}"),
)


@VARIED_RESOURCES
async def test_any_external_id_is_an_address(shop: Api, resource: Resource) -> None:
    """An external id of any characters but controls is one segment of a URL, and one record that it leads to."""
    await ground(shop, resource, *range(1000, 1000 + len(EXTERNAL_IDS)))
    for i, each in enumerate(EXTERNAL_IDS):
        segment = quote(each, safe="")
        body = least(resource, 1000 + i)
        put = await shop.put(f"/{resource.collection}/{segment}", body | {resource.external_id.name: each})
        assert put.status == 200, (each, put.body)
        assert put.result[0]["outcome"] == "created", each
        assert put.result[0]["externalId"] == each
        got = await shop.get(f"/{resource.collection}/external/{segment}")
        assert got.result[resource.external_id.name] == each
        assert got.result["id"] == put.result[0]["resourceId"]
        assert (await shop.get(f"/{resource.collection}/{segment}")).result["id"] == got.result["id"]
        found = await shop.get(f"/{resource.collection}?{resource.external_id.name}={segment}")
        assert [row["id"] for row in found.result["rows"]] == [got.result["id"]]
    assert external_id(resource, 1).startswith(resource.name)
